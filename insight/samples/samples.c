#include "samples/samples.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "support/sorted.h"
#include "support/support.h"
#include "walk/engine_heaps.h"

/* More chunks or stacks: the target is hostile. */
#define CHUNKS_LIMIT 1000000u
#define STACKS_LIMIT 1000000u
#define RECORD_MAX 512u
#define CHUNK_MAX 65536u

/* 95 % of the normal distribution are within this many deviations. */
#define DEVIATIONS_95 1.96

/* --- Estimates ---------------------------------------------------------------------------------------------------- */

void estimate_add(struct estimate *sum, const struct estimate *other) {
    sum->samples += other->samples;
    sum->blocks += other->blocks;
    sum->bytes += other->bytes;
    sum->blocks_variance += other->blocks_variance;
    sum->bytes_variance += other->bytes_variance;
}

struct estimate estimate_of(double weight, double bytes) {
    const double spread = weight * (weight - 1);
    return (struct estimate){.samples = 1,
                             .blocks = weight,
                             .bytes = weight * bytes,
                             .blocks_variance = spread,
                             .bytes_variance = spread * bytes * bytes};
}

double estimate_deviation(double variance, uint64_t samples) {
    return variance > 0 && samples != 0 ? sqrt(variance * (double)(samples + 1) / (double)samples) : 0;
}

double estimate_bar(double variance, uint64_t samples) {
    return DEVIATIONS_95 * estimate_deviation(variance, samples);
}

static double weight_of(uint64_t size, uint64_t interval) {
    return interval <= 1 ? 1 : 1 / -expm1(-(double)larger(size, 1) / (double)interval);
}

/* --- Reading ------------------------------------------------------------------------------------------------------ */

struct reader {
    struct samples *samples;
    struct session *session;
    struct target *target;
    struct layout *layout;
    struct field record, state, kind, died, quarantined, number, start, size, interval, allocated, freed;
    struct field event_stack, event_ms, event_thread, event_pointer;
    struct field sums_samples, sums_blocks, sums_bytes, sums_blocks_variance, sums_bytes_variance;
    struct field stack, stack_next, stack_depth, stack_cut, stack_class, stack_allocated, stack_freed, stack_lives,
        stack_frames;
    uint64_t live, claimed, dead;
};

/* Beside those of find_fields. */
static const char sample_names[] =
    "mems_root.samples mems_root.stack_table mems_root.guarded_table mems_root.unwinder samples samples.interval "
    "samples.number samples.missed samples.cut samples.peak_number samples.peak_ms samples.peak_bytes "
    "samples.allocated samples.freed samples.chunks sample_chunk sample_chunk.samples sample_chunk.next "
    "stack_table.buckets stack_table.other stack_table.beyond guarded_table.unguarded heap.thread_number "
    "spans.now_ms SAMPLE_LIVE SAMPLE_CLAIMED SAMPLE_DEAD";

static const char the_samples[] = "what was sampled";

/* False if the library lacks one. */
static bool find_fields(struct reader *reader) {
    const struct wanted fields[] = {
        {"sample", &reader->record},
        {"sample.state", &reader->state},
        {"sample.kind", &reader->kind},
        {"sample.died", &reader->died},
        {"sample.quarantined", &reader->quarantined},
        {"sample.number", &reader->number},
        {"sample.start", &reader->start},
        {"sample.size", &reader->size},
        {"sample.interval", &reader->interval},
        {"sample.allocated", &reader->allocated},
        {"sample.freed", &reader->freed},
        {"sample_event.stack", &reader->event_stack},
        {"sample_event.ms", &reader->event_ms},
        {"sample_event.thread", &reader->event_thread},
        {"sample_event.pointer", &reader->event_pointer},
        {"stack_sums.samples", &reader->sums_samples},
        {"stack_sums.blocks", &reader->sums_blocks},
        {"stack_sums.bytes", &reader->sums_bytes},
        {"stack_sums.blocks_variance", &reader->sums_blocks_variance},
        {"stack_sums.bytes_variance", &reader->sums_bytes_variance},
        {"stack", &reader->stack},
        {"stack.next", &reader->stack_next},
        {"stack.depth", &reader->stack_depth},
        {"stack.cut", &reader->stack_cut},
        {"stack.allocated", &reader->stack_allocated},
        {"stack.freed", &reader->stack_freed},
        {"stack.lives", &reader->stack_lives},
        {"stack.frames[0]", &reader->stack_frames},
    };
    const bool found = layout_find(reader->layout, the_samples, fields, COUNT_OF(fields));
    const bool all = layout_has(reader->layout, the_samples, sample_names) && found;
    /* Older libraries keep a stack's blocks of all classes together. */
    reader->stack_class = layout_field(reader->layout, "stack.size_class");
    reader->samples->has_classes = reader->stack_class.size != 0;
    reader->live = layout_constant(reader->layout, "SAMPLE_LIVE", UINT64_MAX);
    reader->claimed = layout_constant(reader->layout, "SAMPLE_CLAIMED", UINT64_MAX);
    reader->dead = layout_constant(reader->layout, "SAMPLE_DEAD", UINT64_MAX);
    return all;
}

/* 0 if it is not finite. */
static double double_of(const void *copy, size_t size, struct field field) {
    const uint64_t bits = field_of(copy, size, field);
    double value;
    memcpy(&value, &bits, sizeof value);
    return isfinite(value) && value >= 0 ? value : 0;
}

static struct estimate read_sums(const struct reader *reader, const void *copy, size_t size, struct field outer) {
    return (struct estimate){
        .samples = field_of(copy, size, field_within(outer, reader->sums_samples)),
        .blocks = double_of(copy, size, field_within(outer, reader->sums_blocks)),
        .bytes = double_of(copy, size, field_within(outer, reader->sums_bytes)),
        .blocks_variance = double_of(copy, size, field_within(outer, reader->sums_blocks_variance)),
        .bytes_variance = double_of(copy, size, field_within(outer, reader->sums_bytes_variance)),
    };
}

static struct sample_event read_event(const struct reader *reader, const void *copy, struct field outer) {
    const size_t size = reader->record.size;
    return (struct sample_event){
        .stack = field_of(copy, size, field_within(outer, reader->event_stack)),
        .ms = field_of(copy, size, field_within(outer, reader->event_ms)),
        .thread = field_of(copy, size, field_within(outer, reader->event_thread)),
        .pointer = field_of(copy, size, field_within(outer, reader->event_pointer)),
    };
}

static void read_record(struct reader *reader, const char *copy) {
    struct samples *samples = reader->samples;
    const size_t size = reader->record.size;
    const uint64_t state = field_of(copy, size, reader->state);
    const bool is_live = state == reader->live;
    if (!is_live && state != reader->claimed && state != reader->dead) {
        return;
    }
    struct sample sample = {
        .live = is_live || state == reader->claimed,
        .died = field_of(copy, size, reader->died) != 0,
        .kind = field_of(copy, size, reader->kind),
        .number = field_of(copy, size, reader->number),
        .start = field_of(copy, size, reader->start),
        .size = field_of(copy, size, reader->size),
        .interval = field_of(copy, size, reader->interval),
        .allocated = read_event(reader, copy, reader->allocated),
        .freed = read_event(reader, copy, reader->freed),
    };
    sample.weight = weight_of(sample.size, sample.interval);
    samples->all = grow(samples->all, samples->count, sizeof *samples->all);
    samples->all[samples->count++] = sample;
}

static bool read_chunks(struct reader *reader, uint64_t chunk) {
    struct field whole = layout_field(reader->layout, "sample_chunk");
    struct field records = layout_field(reader->layout, "sample_chunk.samples");
    struct field next = layout_field(reader->layout, "sample_chunk.next");
    if (reader->record.size == 0 || reader->record.size > RECORD_MAX || whole.size > CHUNK_MAX ||
        records.offset + records.size > whole.size) {
        return false;
    }
    char *copy = make(larger(whole.size, 1));
    struct circle circle = {0};
    while (chunk != 0 && !circle_closed(&circle, chunk) && circle.steps < CHUNKS_LIMIT &&
           target_read(reader->target, chunk, copy, whole.size)) {
        for (uint64_t at = 0; at + reader->record.size <= records.size; at += reader->record.size) {
            read_record(reader, copy + records.offset + at);
        }
        chunk = field_of(copy, whole.size, next);
    }
    free(copy);
    return true;
}

/* Reads what is kept at an address; its frames become a stack of its own at first (unite_stacks). */
static void read_part(struct reader *reader, uint64_t address, uint64_t *next) {
    struct samples *samples = reader->samples;
    char copy[1024 + FRAMES_MAX * 8];
    struct call_stack stack = {.address = address};
    struct stack_part part = {.address = address};
    const size_t size = reader->stack.size;
    *next = 0;
    if (size == 0 || size > 1024 || !target_read(reader->target, address, copy, size)) {
        return;
    }
    *next = field_of(copy, size, reader->stack_next);
    stack.depth = (unsigned)smaller(field_of(copy, size, reader->stack_depth), FRAMES_MAX);
    stack.cut = field_of(copy, size, reader->stack_cut) != 0;
    part.size_class = field_of(copy, size, reader->stack_class);
    part.sums.allocated = read_sums(reader, copy, size, reader->stack_allocated);
    part.sums.freed = read_sums(reader, copy, size, reader->stack_freed);
    for (unsigned i = 0; i < LIVES && (i + 1) * sizeof(double) <= reader->stack_lives.size; i++) {
        part.sums.lives[i] = double_of(copy, size, (struct field){reader->stack_lives.offset + i * 8, 8});
    }
    if (!target_read(reader->target, address + reader->stack_frames.offset, stack.frames,
                     stack.depth * sizeof *stack.frames)) {
        stack.depth = 0;
    }
    samples->stacks = grow(samples->stacks, samples->stack_count, sizeof *samples->stacks);
    samples->stacks[samples->stack_count++] = stack;
    samples->parts = grow(samples->parts, samples->part_count, sizeof *samples->parts);
    samples->parts[samples->part_count++] = part;
}

static int compare_frames(const struct call_stack *a, const struct call_stack *b) {
    if (a->depth != b->depth || a->cut != b->cut) {
        return a->depth != b->depth ? (a->depth < b->depth ? -1 : 1) : (a->cut ? 1 : -1);
    }
    return memcmp(a->frames, b->frames, a->depth * sizeof *a->frames);
}

static int by_frames(const void *a, const void *b) {
    const struct call_stack *left = a;
    const struct call_stack *right = b;
    const int compared = compare_frames(left, right);
    return compared != 0 ? compared : left->address < right->address ? -1 : left->address > right->address;
}

static void stack_sums_add(struct stack_sums *sums, const struct stack_sums *other) {
    estimate_add(&sums->allocated, &other->allocated);
    estimate_add(&sums->freed, &other->freed);
    for (unsigned i = 0; i < LIVES; i++) {
        sums->lives[i] += other->lives[i];
    }
}

static struct call_stack *stack_with(const struct samples *samples, uint64_t address) {
    return sorted_find(samples->stacks, samples->stack_count, sizeof *samples->stacks, address);
}

static struct stack_part *part_at(const struct samples *samples, uint64_t address) {
    return sorted_find(samples->parts, samples->part_count, sizeof *samples->parts, address);
}

/* Of stacks with the same frames one remains, with the sums of them all; the parts know it. */
static void unite_stacks(struct samples *samples) {
    struct call_stack *stacks = samples->stacks;
    uint64_t *first = make_zeroed(larger(samples->part_count, 1), sizeof *first); /* the address of each part's stack */
    size_t kept = 0;
    qsort(stacks, samples->stack_count, sizeof *stacks, by_frames);
    sort(samples->parts, samples->part_count, sizeof *samples->parts);
    for (size_t i = 0; i < samples->stack_count; i++) {
        const uint64_t address = stacks[i].address;
        if (kept == 0 || compare_frames(&stacks[kept - 1], &stacks[i]) != 0) {
            stacks[kept++] = stacks[i];
        }
        first[part_at(samples, address) - samples->parts] = stacks[kept - 1].address;
    }
    samples->stack_count = kept;
    sort(stacks, kept, sizeof *stacks);
    for (size_t i = 0; i < samples->part_count; i++) {
        struct call_stack *stack = stack_with(samples, first[i]);
        if (stack != NULL) { /* else a damaged table has it twice */
            stack_sums_add(&stack->sums, &samples->parts[i].sums);
            samples->parts[i].stack = stack;
        }
    }
    free(first);
}

/* While they are read, stacks change only their sums. */
static void read_stacks(struct reader *reader, uint64_t table) {
    struct field buckets = layout_field(reader->layout, "stack_table.buckets");
    struct field other = layout_field(reader->layout, "stack_table.other");
    struct samples *samples = reader->samples;
    uint64_t next;
    uint64_t *heads = make(larger(buckets.size, 8));
    if (buckets.size <= 1 << 24 && target_read(reader->target, table + buckets.offset, heads, buckets.size)) {
        for (size_t i = 0; i < buckets.size / 8; i++) {
            struct circle circle = {0};
            for (uint64_t at = heads[i]; at != 0 && !circle_closed(&circle, at) && samples->part_count < STACKS_LIMIT;
                 at = next) {
                read_part(reader, at, &next);
            }
        }
    }
    free(heads);
    if (other.size != 0) {
        const size_t before = samples->part_count;
        read_part(reader, table + other.offset, &next);
        if (samples->part_count != before) {
            samples->parts[before].size_class = UINT64_MAX; /* blocks of any class */
        }
    }
    if (samples->part_count != 0) {
        unite_stacks(samples);
    }
}

static void find_calls(const struct samples *samples, struct sample_event *event) {
    const struct stack_part *part = part_at(samples, event->stack);
    if (part != NULL && part->stack != NULL) {
        event->calls = part->stack;
        event->stack = part->stack->address;
    }
}

/* A process's clock; a core's latest time. */
static uint64_t clock_of(struct reader *reader) {
    const struct samples *samples = reader->samples;
    uint64_t latest = 0;
    struct timespec now;
    if (reader->target->kind == TARGET_LIVE && clock_gettime(CLOCK_MONOTONIC_COARSE, &now) == 0) {
        return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
    }
    field_read(reader->target, engine_structure(&reader->session->engine, "mems_root.spans"),
               layout_field(reader->layout, "spans.now_ms"), &latest);
    latest = larger(latest, 1000 * session_now(reader->session));
    for (size_t i = 0; i < samples->count; i++) {
        latest = larger(latest, larger(samples->all[i].allocated.ms, samples->all[i].freed.ms));
    }
    return latest;
}

static bool read_numbers(struct reader *reader, uint64_t root, uint64_t *chunks) {
    struct samples *samples = reader->samples;
    struct layout *layout = reader->layout;
    struct field whole = layout_field(layout, "samples");
    if (whole.size == 0 || whole.size > CHUNK_MAX) {
        return false;
    }
    char *copy = make(whole.size);
    const bool read = target_read(reader->target, root, copy, whole.size);
    if (read) {
        samples->interval = field_of(copy, whole.size, layout_field(layout, "samples.interval"));
        samples->held_before = field_of(copy, whole.size, layout_field(layout, "samples.held_before"));
        samples->begins_at = samples->interval * layout_constant(layout, "SAMPLE_BEGIN_HELD", 0);
        samples->taken = field_of(copy, whole.size, layout_field(layout, "samples.number"));
        samples->missed = field_of(copy, whole.size, layout_field(layout, "samples.missed"));
        samples->cut = field_of(copy, whole.size, layout_field(layout, "samples.cut"));
        samples->peak_number = field_of(copy, whole.size, layout_field(layout, "samples.peak_number"));
        samples->peak_ms = field_of(copy, whole.size, layout_field(layout, "samples.peak_ms"));
        samples->peak_bytes = double_of(copy, whole.size, layout_field(layout, "samples.peak_bytes"));
        samples->allocated = read_sums(reader, copy, whole.size, layout_field(layout, "samples.allocated"));
        samples->freed = read_sums(reader, copy, whole.size, layout_field(layout, "samples.freed"));
        *chunks = field_of(copy, whole.size, layout_field(layout, "samples.chunks"));
    }
    free(copy);
    return read;
}

bool samples_read(struct samples *samples, struct session *session) {
    memset(samples, 0, sizeof *samples);
    if (!session->has_engine) {
        return false;
    }
    struct reader reader = {
        .samples = samples, .session = session, .target = &session->target, .layout = session->engine.layout};
    struct layout *layout = reader.layout;
    uint64_t root;
    uint64_t table;
    uint64_t guarded;
    uint64_t unwinder = 0;
    uint64_t chunks = 0;
    if (!find_fields(&reader) ||
        !field_read(reader.target, layout->start, layout_field(layout, "mems_root.samples"), &root) ||
        !field_read(reader.target, layout->start, layout_field(layout, "mems_root.stack_table"), &table) ||
        !field_read(reader.target, layout->start, layout_field(layout, "mems_root.guarded_table"), &guarded) ||
        !read_numbers(&reader, root, &chunks) || !read_chunks(&reader, chunks)) {
        return false;
    }
    field_read(reader.target, layout->start, layout_field(layout, "mems_root.unwinder"), &unwinder);
    field_read(reader.target, table, layout_field(layout, "stack_table.beyond"), &samples->beyond);
    field_read(reader.target, guarded, layout_field(layout, "guarded_table.unguarded"), &samples->unguarded);
    samples->frame_pointers = unwinder != 0;
    if (samples->taken != 0) { /* what nobody has touched is not read either */
        read_stacks(&reader, table);
    }
    for (size_t i = 0; i < samples->count; i++) {
        find_calls(samples, &samples->all[i].allocated);
        find_calls(samples, &samples->all[i].freed);
    }
    sort(samples->all, samples->count, sizeof *samples->all);
    samples->now_ms = clock_of(&reader);
    return true;
}

bool samples_any(struct session *session) {
    struct samples samples;
    if (!samples_read(&samples, session)) {
        return false;
    }
    const bool any = samples.taken != 0;
    samples_free(&samples);
    return any;
}

void samples_free(struct samples *samples) {
    free(samples->all);
    free(samples->stacks);
    free(samples->parts);
}

/* --- Looking up --------------------------------------------------------------------------------------------------- */

const struct sample *samples_find(const struct samples *samples, uint64_t address) {
    const uint64_t page = 4096;
    const struct sample *found = NULL;
    bool found_inside = false;
    for (size_t i = 0; i < samples->count; i++) {
        const struct sample *sample = &samples->all[i];
        const uint64_t first = sample->start & ~(page - 1);
        const uint64_t fence = ((sample->start + sample->size + page - 1) & ~(page - 1)) + page;
        const bool inside = address >= sample->start && address - sample->start < larger(sample->size, 1);
        if (address >= first && address < fence && (inside || !found_inside)) {
            found = sample;
            found_inside = inside;
        }
    }
    return found;
}

/* Whether the thread with this pointer still has that number. */
static bool is_there(struct session *session, const struct sample_event *event) {
    struct engine *engine = &session->engine;
    struct field number = layout_field(engine->layout, "heap.thread_number");
    for (uint64_t id = 1; id <= engine->heaps_made; id++) {
        struct engine_heap heap;
        uint64_t told;
        if (engine_heap(engine, id, &heap) && heap.in_use && heap.thread == event->pointer &&
            field_read(engine->target, heap.address, number, &told)) {
            return told == event->thread;
        }
    }
    return false;
}

char *samples_thread(struct session *session, const struct sample_event *event) {
    if (event->thread == 0) {
        return copy_text("a thread without a heap");
    }
    if (is_there(session, event)) {
        pid_t id = target_thread_of(&session->target, event->pointer);
        if (id != 0) {
            return make_text("thread %d", id);
        }
        return make_text("the thread at %#lx", event->pointer);
    }
    return make_text("a thread that has ended, the %luth to allocate", event->thread);
}
