#include "sample.h"

#include "base/broken.h"
#include "base/exponential.h"
#include "base/fault.h"
#include "engine/tables/page_map.h"
#include "engine/tables/size_class.h"
#include "os/os.h"
#include "ranks.h"

_Static_assert(sizeof(struct sample_chunk) <= METADATA_MAX, "a chunk is a piece of metadata");
_Static_assert(sizeof(struct stack_frames) <= METADATA_MAX, "so are frames");

struct samples samples = {.lock = LOCK_INIT(LOCK_SAMPLES)};

void samples_start(void) {
    list_init(&samples.unused);
    list_init(&samples.quarantine);
    list_init(&samples.died);
    guarded_start();
}

static void set_state(struct sample *sample, enum sample_state state) {
    atomic_store_explicit(&sample->state, state, memory_order_release);
}

static enum sample_state state_of(const struct sample *sample) {
    return (enum sample_state)atomic_load_explicit(&sample->state, memory_order_relaxed);
}

static double share_of(const struct sample *sample) {
    return exponential_share(sample->size != 0 ? sample->size : 1, sample->interval);
}

static bool add_chunk(void) {
    struct sample_chunk *chunk = metadata_alloc(sizeof *chunk);
    if (chunk == NULL) {
        return false;
    }
    for (unsigned i = 0; i < SAMPLES_IN_CHUNK; i++) {
        struct sample *sample = &chunk->samples[i];
        *sample = (struct sample){.state = SAMPLE_UNUSED};
        list_push_back(&samples.unused, &sample->link);
        list_init(&sample->died_link);
    }
    chunk->next = samples.chunks;
    samples.chunks = chunk;
    samples.records += SAMPLES_IN_CHUNK;
    return true;
}

static struct sample *take_record(void) {
    if (list_empty(&samples.unused) && !add_chunk()) {
        return NULL;
    }
    struct sample *sample = CONTAINER_OF(samples.unused.next, struct sample, link);
    list_remove(&sample->link);
    return sample;
}

static void give_record(struct sample *sample) {
    set_state(sample, SAMPLE_UNUSED);
    list_push_front(&samples.unused, &sample->link);
}

/* A dead record that nothing needs any more. */
static void give_if_done(struct sample *sample) {
    if (!sample->quarantined && !sample->died) {
        give_record(sample);
    }
}

static uint8_t stack_class_of(enum sample_kind kind, size_t size) {
    return kind == SAMPLE_SMALL ? (uint8_t)size_class_of(size) : kind == SAMPLE_LARGE ? STACK_LARGE : STACK_HUGE;
}

struct stack_frames *sample_frames_take(void) {
    lock_take(&samples.lock);
    struct stack_frames *frames = samples.frames;
    if (frames != NULL) {
        samples.frames = frames->next;
    } else {
        frames = metadata_alloc(sizeof *frames);
    }
    lock_give(&samples.lock);
    return frames;
}

/* Under the lock. */
static void give_frames(struct stack_frames *frames) {
    if (frames != NULL) {
        frames->next = samples.frames;
        samples.frames = frames;
    }
}

/* Counts a live small sample's cell, or with -1 no longer. */
static void count_cell(struct guarded_cell cell, size_t by) {
    samples.cells += by;
    samples.cell_bytes += by * guarded_size(cell);
}

/* By the interval that is set: those that a fast thread's samples are drawn with may be far longer. */
static void choose_guards(void) {
    const uint64_t interval = atomic_load_explicit(&samples.interval, memory_order_relaxed);
    atomic_store_explicit(&guarded_table.marks_first, interval < GUARDED_FREQUENT, memory_order_relaxed);
}

struct sample *sample_make(enum sample_kind kind, size_t size, uint64_t interval, const struct sample_site *site) {
    lock_take(&samples.lock);
    choose_guards();
    struct sample *sample = take_record();
    struct guarded_cell cell = {0};
    if (sample != NULL && kind == SAMPLE_SMALL && !guarded_take(size, sample, &cell)) {
        give_record(sample);
        sample = NULL;
    }
    if (sample != NULL) {
        set_state(sample, SAMPLE_WRITING);
        sample->kind = (uint8_t)kind;
        sample->behind = GUARD_NONE;
        sample->number = ++samples.number;
        sample->start = 0;
        sample->size = size;
        sample->interval = interval;
        sample->allocated = site->event;
        sample->allocated.stack = stack_intern(site->frames, stack_class_of(kind, size));
        sample->freed = (struct sample_event){0};
        sample->cell = cell;
        if (kind == SAMPLE_SMALL) {
            count_cell(cell, 1);
        }
        samples.cut += site->frames != NULL && site->frames->cut;
    } else {
        samples.missed++;
    }
    give_frames(site->frames);
    lock_give(&samples.lock);
    return sample;
}

void sample_miss(void) {
    lock_take(&samples.lock);
    samples.missed++;
    lock_give(&samples.lock);
}

/* A new peak: forgets samples that died since the last one. */
static void begin_peak(uint64_t ms) {
    samples.peak_bytes = samples.live_bytes;
    samples.peak_ms = ms;
    samples.peak_number = samples.number;
    while (!list_empty(&samples.died)) {
        struct sample *sample = CONTAINER_OF(samples.died.next, struct sample, died_link);
        list_remove(&sample->died_link);
        sample->died = false;
        give_if_done(sample);
    }
}

void sample_complete(struct sample *sample, uintptr_t start) {
    const double share = share_of(sample);
    lock_take(&samples.lock);
    sample->start = start;
    stack_sums_add(&sample->allocated.stack->allocated, sample->size, share);
    stack_sums_add(&samples.allocated, sample->size, share);
    samples.live++;
    samples.live_bytes += (double)sample->size / share;
    if (sample->kind == SAMPLE_HUGE) {
        atomic_fetch_add_explicit(&samples.huge_live, 1, memory_order_relaxed);
    }
    set_state(sample, SAMPLE_LIVE);
    if (samples.live_bytes > samples.peak_bytes) {
        begin_peak(sample->allocated.ms);
    }
    lock_give(&samples.lock);
}

/* Under the lock. */
static void drop(struct sample *sample) {
    if (sample->cell.of != NULL) {
        count_cell(sample->cell, (size_t)-1);
        guarded_give(sample->cell);
    }
    give_record(sample);
    samples.missed++;
}

void sample_drop(struct sample *sample) {
    lock_take(&samples.lock);
    drop(sample);
    lock_give(&samples.lock);
}

void samples_cells(size_t *live, size_t *bytes, size_t *rest) {
    lock_take(&samples.lock);
    *live = samples.cells;
    *bytes = samples.cell_bytes;
    *rest = guarded_table.bytes - samples.cell_bytes;
    lock_give(&samples.lock);
}

bool sample_claim(struct sample *sample) {
    uint32_t live = SAMPLE_LIVE;
    /* Acquire and release: what the block's users did comes before its end, as in large_end. */
    return atomic_compare_exchange_strong_explicit(&sample->state, &live, SAMPLE_CLAIMED, memory_order_acq_rel,
                                                   memory_order_relaxed);
}

/* The oldest record leaves the quarantine, and gives its cell back. Under the lock. */
static void release_oldest(void) {
    struct sample *oldest = CONTAINER_OF(samples.quarantine.next, struct sample, link);
    list_remove(&oldest->link);
    oldest->quarantined = false;
    samples.quarantined--;
    guarded_give(oldest->cell);
    give_if_done(oldest);
}

/* Appends a record, whose cell is already inaccessible. */
static void quarantine(struct sample *sample) {
    sample->quarantined = true;
    count_cell(sample->cell, (size_t)-1);
    list_push_back(&samples.quarantine, &sample->link);
    if (++samples.quarantined > QUARANTINE_MAX) {
        release_oldest();
    }
}

/* Under the lock. */
static void end_sample(struct sample *sample) {
    const double share = share_of(sample);
    const uint64_t lived_ms = sample->freed.ms - sample->allocated.ms;
    stack_count_freed(sample->allocated.stack, sample->size, share, lived_ms);
    stack_sums_add(&samples.freed, sample->size, share);
    samples.live--;
    samples.live_bytes = samples.live != 0 ? samples.live_bytes - (double)sample->size / share : 0;
    if (sample->kind == SAMPLE_HUGE) {
        atomic_fetch_sub_explicit(&samples.huge_live, 1, memory_order_relaxed);
    }
    set_state(sample, SAMPLE_DEAD);
    if (sample->number <= samples.peak_number) {
        sample->died = true;
        list_push_back(&samples.died, &sample->died_link);
    }
    if (sample->kind == SAMPLE_SMALL) {
        quarantine(sample);
    } else {
        give_if_done(sample);
    }
}

void sample_end(struct sample *sample, const struct sample_site *site) {
    ASSERT(state_of(sample) == SAMPLE_CLAIMED);
    lock_take(&samples.lock);
    sample->freed = site->event;
    sample->freed.stack = stack_intern(site->frames, STACK_FREES);
    give_frames(site->frames);
    end_sample(sample);
    lock_give(&samples.lock);
}

struct sample *sample_at(const void *address) {
    struct guarded_cell cell;
    return guarded_find(address, &cell) ? cell.of->samples[cell.index] : NULL;
}

size_t samples_trim(void) {
    lock_take(&samples.lock);
    const size_t given = samples.chunks != NULL ? guarded_trim() : 0;
    lock_give(&samples.lock);
    return given;
}

void samples_reclaim(void) {
    lock_take(&samples.lock);
    while (samples.quarantined != 0) {
        release_oldest();
    }
    lock_give(&samples.lock);
    (void)samples_trim();
}

void samples_recover(void) {
    lock_take(&samples.lock);
    for (struct sample_chunk *chunk = samples.chunks; chunk != NULL; chunk = chunk->next) {
        for (unsigned i = 0; i < SAMPLES_IN_CHUNK; i++) {
            struct sample *sample = &chunk->samples[i];
            const enum sample_state state = state_of(sample);
            if (state != SAMPLE_WRITING && state != SAMPLE_CLAIMED) {
                continue;
            }
            if (sample->kind == SAMPLE_SMALL) {
                guarded_recover(sample->cell);
            }
            if (state == SAMPLE_WRITING) {
                drop(sample);
            } else {
                sample->freed = (struct sample_event){.ms = os_coarse_ms()};
                end_sample(sample);
            }
        }
    }
    lock_give(&samples.lock);
}

/* Whether a record is in the list that its state calls for. */
static bool sample_valid(const struct sample *sample, const char **why) {
    const enum sample_state state = state_of(sample);
    const bool listed = !list_empty(&sample->link);
    const bool has_cell =
        state != SAMPLE_UNUSED && sample->kind == SAMPLE_SMALL && (state != SAMPLE_DEAD || sample->quarantined);
    return (listed == (state == SAMPLE_UNUSED || sample->quarantined) ||
            broken(why, "a sample's record is in no list that its state allows")) &&
           (state == SAMPLE_DEAD || !(sample->quarantined || sample->died) ||
            broken(why, "a sample is kept as dead, and is not")) &&
           (!has_cell || sample->cell.of->samples[sample->cell.index] == sample ||
            broken(why, "a sample's cell has another sample"));
}

bool samples_valid(const char **why) {
    uint64_t live = 0;
    uint64_t quarantined = 0;
    uint64_t cells = 0;
    size_t live_cells = 0;
    size_t cell_bytes = 0;
    for (const struct sample_chunk *chunk = samples.chunks; chunk != NULL; chunk = chunk->next) {
        for (unsigned i = 0; i < SAMPLES_IN_CHUNK; i++) {
            const struct sample *sample = &chunk->samples[i];
            if (!sample_valid(sample, why)) {
                return false;
            }
            live += sample_is_live(sample);
            quarantined += sample->quarantined;
            if (sample_is_live(sample) && sample->kind == SAMPLE_SMALL) {
                live_cells++;
                cell_bytes += guarded_size(sample->cell);
            }
            cells += sample->kind == SAMPLE_SMALL && (sample_is_live(sample) || sample->quarantined);
        }
    }
    return ((live == samples.live && quarantined == samples.quarantined && quarantined <= QUARANTINE_MAX) ||
            broken(why, "the samples that are live, or in quarantine, are not what is counted")) &&
           ((live_cells == samples.cells && cell_bytes == samples.cell_bytes) ||
            broken(why, "the live samples' cells, or their bytes, are not what is counted")) &&
           (cells == guarded_table.cells_taken || broken(why, "the cells of samples are not those that are taken"));
}
