#include "engine.h"

#include <stdlib.h>
#include <string.h>

#include "support.h"

/* Units, heaps and huge blocks beyond these numbers are a hostile target's. */
#define UNITS_LIMIT ((uint64_t)1 << 30)
#define HEAPS_LIMIT ((uint64_t)1 << 18)
#define HUGE_LIMIT 65536u

/* --- Opening ------------------------------------------------------------------------------------------------------ */

/* A number of the structure that a member of the root points at. */
struct number {
    const char *member; /* of the root */
    const char *field;
    uint64_t *value;
};

static bool read_numbers(struct engine *engine, const struct number *numbers, size_t count) {
    for (size_t i = 0; i < count; i++) {
        uint64_t structure;
        if (!field_read(engine->target, engine->layout->start, layout_field(engine->layout, numbers[i].member),
                        &structure) ||
            !field_read(engine->target, structure, layout_field(engine->layout, numbers[i].field), numbers[i].value)) {
            return false;
        }
    }
    return true;
}

static bool read_area(struct engine *engine, const char *name, struct engine_area *area) {
    struct layout *layout = engine->layout;
    uint64_t window;
    struct field at = layout_field(layout, name);
    if (!field_read(engine->target, layout->start, layout_field(layout, "mems_root.window"), &window)) {
        return false;
    }
    window += at.offset;
    return at.size != 0 && field_read(engine->target, window, layout_field(layout, "area.start"), &area->start) &&
           field_read(engine->target, window, layout_field(layout, "area.size"), &area->size) &&
           field_read(engine->target, window, layout_field(layout, "area.accessible"), &area->accessible) &&
           area->start + area->size >= area->start && area->accessible <= area->size;
}

static bool read_areas(struct engine *engine) {
    static const char *const names[TABLES] = {
        [TABLE_PAGE_MAP] = "window.page_map_area", [TABLE_SPANS] = "window.spans_area",
        [TABLE_HEAPS] = "window.heaps_area",       [TABLE_LINKS] = "window.inbox_links_area",
        [TABLE_LIVE] = "window.live_map_area",     [TABLE_METADATA] = "window.metadata_area",
    };
    for (unsigned i = 0; i < TABLES; i++) {
        if (!read_area(engine, names[i], &engine->tables[i])) {
            return false;
        }
    }
    return read_area(engine, "window.units_area", &engine->units);
}

static bool class_sound(const struct engine *engine, const struct engine_class *size_class) {
    return size_class->size >= engine->granule && size_class->units >= 1 && size_class->units <= SLAB_UNITS_MAX &&
           size_class->slots >= 1 && size_class->slots <= SLAB_SLOTS_MAX &&
           size_class->slots <= size_class->units * engine->unit / size_class->size;
}

static bool read_classes(struct engine *engine) {
    struct layout *layout = engine->layout;
    struct field size = layout_field(layout, "size_class.size");
    struct field slots = layout_field(layout, "size_class.slots");
    struct field units = layout_field(layout, "size_class.units");
    struct field magazine = layout_field(layout, "size_class.magazine");
    struct field whole = layout_field(layout, "size_class");
    uint64_t count;
    uint64_t table;
    if (!field_read(engine->target, layout->start, layout_field(layout, "mems_root.class_count"), &count) ||
        !field_read(engine->target, layout->start, layout_field(layout, "mems_root.size_classes"), &table) ||
        count > CLASSES_MAX || count > engine->class_mask + 1) {
        return false;
    }
    for (unsigned i = 0; i < count; i++) {
        struct engine_class *size_class = &engine->classes[i];
        uint64_t at = table + i * (uint64_t)whole.size;
        if (!field_read(engine->target, at, size, &size_class->size) ||
            !field_read(engine->target, at, slots, &size_class->slots) ||
            !field_read(engine->target, at, units, &size_class->units) ||
            !field_read(engine->target, at, magazine, &size_class->magazine) || !class_sound(engine, size_class)) {
            return false;
        }
    }
    engine->class_count = (unsigned)count;
    return true;
}

static void find_fields(struct engine *engine) {
    const struct {
        const char *name;
        struct field *field;
    } fields[] = {
        {"live_word", &engine->live_word},
        {"live_word.live", &engine->live_word_live},
        {"live_word.remote", &engine->live_word_remote},
        {"span.first", &engine->span_first},
        {"slab", &engine->slab},
        {"slab.span", &engine->slab_span},
        {"slab.slots", &engine->slab_slots},
        {"slab.free", &engine->slab_free},
        {"slab.used", &engine->slab_used},
        {"slab.unsettled", &engine->slab_unsettled},
        {"slab.fresh", &engine->slab_fresh},
        {"slab.bitmap", &engine->slab_bitmap},
        {"large", &engine->large},
        {"large.span", &engine->large_span},
        {"large.requested", &engine->large_requested},
    };
    for (size_t i = 0; i < COUNT_OF(fields); i++) {
        *fields[i].field = layout_field(engine->layout, fields[i].name);
    }
    struct field units = layout_field(engine->layout, "span.units");
    engine->slab_first = field_within(engine->slab_span, engine->span_first);
    engine->slab_units = field_within(engine->slab_span, units);
    engine->large_first = field_within(engine->large_span, engine->span_first);
    engine->large_units = field_within(engine->large_span, units);
}

/* All names that a walk cannot do without have been looked up: what they say must make sense. */
static bool constants_sound(const struct engine *engine) {
    return engine->page != 0 && engine->unit % engine->page == 0 && (engine->page & (engine->page - 1)) == 0 &&
           engine->unit >= 4096 && engine->unit <= 1 << 24 && engine->granule >= 8 && engine->granule <= 64 &&
           engine->unit % (engine->granule * 64) == 0 && engine->live_word_bits == 64 && engine->live_word.size <= 64 &&
           engine->live_word_live.offset + 8 <= engine->live_word.size &&
           engine->live_word_remote.offset + 8 <= engine->live_word.size && engine->heap_shift < 32 &&
           engine->slab.size <= 4096 && engine->slab_bitmap.offset <= 4096 && engine->large.size <= 4096;
}

static bool read_constants(struct engine *engine) {
    struct layout *layout = engine->layout;
    static const char *const kinds[] = {
        [SPAN_UNUSED] = "UNIT_UNUSED", [SPAN_FRESH] = "UNIT_FRESH",     [SPAN_UNMAPPED] = "UNIT_UNMAPPED",
        [SPAN_DIRTY] = "UNIT_DIRTY",   [SPAN_PURGING] = "UNIT_PURGING", [SPAN_LOST] = "UNIT_LOST",
        [SPAN_LARGE] = "UNIT_LARGE",
    };
    for (unsigned i = 0; i <= SPAN_LARGE; i++) {
        engine->kinds[i] = layout_constant(layout, kinds[i], UINT64_MAX);
    }
    engine->part = layout_constant(layout, "UNIT_PART", UINT64_MAX);
    engine->unit = (uint64_t)1 << (layout_constant(layout, "UNIT_SHIFT", 0) & 63);
    engine->granule = (uint64_t)1 << (layout_constant(layout, "GRANULE_SHIFT", 0) & 63);
    engine->page = layout_constant(layout, "OS_PAGE", 0);
    engine->heap_shift = layout_constant(layout, "HEAP_ID_SHIFT", 0);
    engine->class_mask = layout_constant(layout, "CLASS_MASK", 0);
    engine->heap_abandoned = layout_constant(layout, "HEAP_ABANDONED", 0);
    engine->live_word_bits = layout_constant(layout, "LIVE_WORD_BITS", 0);
    return constants_sound(engine);
}

static bool read_window(struct engine *engine) {
    const struct number numbers[] = {
        {"mems_root.window", "window.base", &engine->base},
        {"mems_root.window", "window.page_map", &engine->page_map},
        {"mems_root.window", "window.spans", &engine->spans},
        {"mems_root.window", "window.live_map", &engine->live_map},
        {"mems_root.window", "window.inbox_links", &engine->links},
        {"mems_root.window", "window.heaps", &engine->heaps},
        {"mems_root.window", "window.tables_start", &engine->tables_start},
        {"mems_root.window", "window.tables_size", &engine->tables_size},
        {"mems_root.spans", "spans.top", &engine->top},
        {"mems_root.spans", "spans.decay_ms", &engine->decay_ms},
        {"mems_root.heaps", "heaps.made", &engine->heaps_made},
        {"mems_root.heaps", "heaps.in_use", &engine->heaps_in_use},
    };
    const struct {
        const char *member;
        uint64_t *address;
    } structures[] = {
        {"mems_root.abandoned", &engine->abandoned},
        {"mems_root.huge_table", &engine->huge_table},
        {"mems_root.metadata", &engine->metadata},
        {"mems_root.spans", &engine->spans_state},
    };
    for (size_t i = 0; i < COUNT_OF(structures); i++) {
        if (!field_read(engine->target, engine->layout->start, layout_field(engine->layout, structures[i].member),
                        structures[i].address)) {
            return false;
        }
    }
    return read_numbers(engine, numbers, COUNT_OF(numbers)) && read_areas(engine) &&
           engine->base == engine->units.start && engine->top <= engine->units.accessible / engine->unit &&
           engine->top <= UNITS_LIMIT && engine->heaps_made <= HEAPS_LIMIT;
}

static int by_number(const void *a, const void *b) {
    const uint64_t *left = a;
    const uint64_t *right = b;
    return *left < *right ? -1 : *left > *right;
}

static bool add_deferred(const struct engine_cached *cached, void *context) {
    struct engine *engine = context;
    engine->deferred = grow(engine->deferred, engine->deferred_count, sizeof *engine->deferred);
    engine->deferred[engine->deferred_count++] = cached->block;
    return true;
}

/* Of each heap that proves frees later: what lies in its magazines has its live bit set. */
static void read_deferred(struct engine *engine) {
    struct engine_heap heap;
    for (uint64_t id = 1; id <= engine->heaps_made; id++) {
        if (engine_heap(engine, id, &heap) && !heap.checks_every && heap.in_use) {
            engine_cached(engine, id, add_deferred, engine);
        }
    }
    if (engine->deferred_count != 0) {
        qsort(engine->deferred, engine->deferred_count, sizeof *engine->deferred, by_number);
    }
}

void engine_open(struct engine *engine, struct target *target, struct layout *layout) {
    memset(engine, 0, sizeof *engine);
    engine->target = target;
    engine->layout = layout;
    layout->missing[0] = '\0';
    uint64_t state;
    find_fields(engine);
    bool constants = read_constants(engine);
    if (!field_read(target, layout->start, layout_field(layout, "mems_root.state"), &state)) {
        engine->trouble = "its root cannot be read";
    } else if (state == 0) {
        engine->trouble = "it has not started: nothing has been allocated";
    } else if (layout->missing[0] != '\0') {
        engine->trouble = layout->missing;
    } else if (!constants || !read_window(engine)) {
        engine->trouble = layout->missing[0] != '\0' ? layout->missing : "its root leads to nothing that makes sense";
    } else if (!read_classes(engine)) {
        engine->trouble = "its size classes make no sense";
    }
    if (engine->trouble == layout->missing && engine->trouble != NULL) {
        engine->trouble = make_text("the library does not describe %s: this mems is not of its age", layout->missing);
    }
    engine->slab_born = layout_field(layout, "slab.born_s");
    if (engine->trouble == NULL) {
        read_deferred(engine);
    }
}

void engine_close(struct engine *engine) {
    free(engine->deferred);
}

/* --- The window --------------------------------------------------------------------------------------------------- */

static uint64_t live_unit_bytes(const struct engine *engine) {
    return engine->unit / engine->granule / 64 * engine->live_word.size;
}

void engine_walk_start(struct engine_walk *walk, struct engine *engine, uint64_t unit) {
    memset(walk, 0, sizeof *walk);
    walk->engine = engine;
    walk->next = unit;
    size_t words = SLAB_UNITS_MAX * engine->unit / engine->granule / 64;
    walk->live_map = make(WALK_UNITS * live_unit_bytes(engine));
    walk->free = make((SLAB_SLOTS_MAX / 64 + 2) * sizeof *walk->free);
    walk->live = make(words * sizeof *walk->live);
    walk->remote = make(words * sizeof *walk->remote);
    walk->descriptor = make(4096 + 8192 + 16);
}

void engine_walk_end(struct engine_walk *walk) {
    free(walk->live_map);
    free(walk->free);
    free(walk->live);
    free(walk->remote);
    free(walk->descriptor);
}

/* Reads ahead from a unit on; false when not even that one is there. */
static bool load(struct engine_walk *walk, uint64_t unit) {
    struct engine *engine = walk->engine;
    uint64_t units = smaller(engine->top - unit, WALK_UNITS);
    uint64_t live = live_unit_bytes(engine);
    walk->loaded = 0;
    if (!target_read(engine->target, engine->page_map + unit * sizeof *walk->entries, walk->entries,
                     units * sizeof *walk->entries) ||
        !target_read(engine->target, engine->spans + unit * sizeof *walk->descriptors, walk->descriptors,
                     units * sizeof *walk->descriptors) ||
        !target_read(engine->target, engine->live_map + unit * live, walk->live_map, units * live)) {
        return false;
    }
    walk->first = unit;
    walk->loaded = units;
    return true;
}

static bool loaded(struct engine_walk *walk, uint64_t unit, uint64_t units) {
    return (unit >= walk->first && unit + units <= walk->first + walk->loaded) ||
           (load(walk, unit) && units <= walk->loaded);
}

static enum engine_kind kind_of(const struct engine *engine, uint32_t entry) {
    if (entry >= (uint32_t)1 << engine->heap_shift) {
        return (entry & engine->class_mask) < engine->class_count ? SPAN_SLAB : SPAN_TORN;
    }
    if (entry == engine->part) {
        return SPAN_LARGE;
    }
    for (unsigned kind = 0; kind <= SPAN_LARGE; kind++) {
        if (entry == engine->kinds[kind]) {
            return (enum engine_kind)kind;
        }
    }
    return SPAN_TORN;
}

/* The first block in a magazine at or after an address, as an index. */
static size_t deferred_from(const struct engine *engine, uint64_t address) {
    size_t low = 0;
    size_t high = engine->deferred_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (engine->deferred[middle] < address) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* The bits first .. first + count - 1, up to 64 of them. */
static uint64_t bits_of(const uint64_t *words, uint64_t first, unsigned count) {
    uint64_t bits = words[first / 64] >> first % 64;
    if (first % 64 != 0 && first % 64 + count > 64) {
        bits |= words[first / 64 + 1] << (64 - first % 64);
    }
    return count < 64 ? bits & (((uint64_t)1 << count) - 1) : bits;
}

static unsigned count_bits(const uint64_t *words, uint64_t first, uint64_t count) {
    unsigned sum = 0;
    for (uint64_t at = 0; at < count; at += 64) {
        sum += (unsigned)__builtin_popcountll(bits_of(words, first + at, (unsigned)smaller(count - at, 64)));
    }
    return sum;
}

static bool bit(const uint64_t *words, uint64_t at) {
    return words[at / 64] >> at % 64 & 1;
}

/* The slab's bits of the live map, from what was read ahead; what lies in a magazine loses its live bit. */
static void take_live(struct engine_walk *walk) {
    struct engine *engine = walk->engine;
    const struct engine_span *span = &walk->span;
    size_t words = span->units * engine->unit / engine->granule / 64;
    const char *from = walk->live_map + (span->unit - walk->first) * live_unit_bytes(engine);
    for (size_t i = 0; i < words; i++, from += engine->live_word.size) {
        memcpy(&walk->live[i], from + engine->live_word_live.offset, 8);
        memcpy(&walk->remote[i], from + engine->live_word_remote.offset, 8);
    }
    const uint64_t end = span->start + span->units * engine->unit;
    for (size_t i = deferred_from(engine, span->start); i < engine->deferred_count && engine->deferred[i] < end; i++) {
        uint64_t granule = (engine->deferred[i] - span->start) / engine->granule;
        walk->live[granule / 64] &= ~((uint64_t)1 << granule % 64);
    }
}

/* Reads the descriptor; false when it cannot be this span's. */
static bool take_slab(struct engine_walk *walk) {
    struct engine *engine = walk->engine;
    struct engine_span *span = &walk->span;
    const struct engine_class *size_class = &engine->classes[span->size_class];
    uint64_t words = (size_class->slots + 63) / 64;
    size_t size = engine->slab_bitmap.offset + words * 8;
    uint64_t at = span->descriptor - engine->slab_span.offset;
    if (!target_read(engine->target, at, walk->descriptor, larger(size, engine->slab.size))) {
        return false;
    }
    size = larger(size, engine->slab.size);
    const void *slab = walk->descriptor;
    span->slots = (unsigned)field_of(slab, size, engine->slab_slots);
    span->free = (unsigned)field_of(slab, size, engine->slab_free);
    span->used = (unsigned)field_of(slab, size, engine->slab_used);
    span->fresh = field_of(slab, size, engine->slab_fresh) != 0;
    span->unsettled = field_of(slab, size, engine->slab_unsettled) != 0;
    span->born_s = field_of(slab, size, engine->slab_born);
    if (field_of(slab, size, engine->slab_first) != span->unit ||
        field_of(slab, size, engine->slab_units) != span->units || span->slots != size_class->slots ||
        span->used > span->slots || span->free > span->slots) {
        return false;
    }
    memset(walk->free, 0, (words + 1) * 8);
    memcpy(walk->free, walk->descriptor + engine->slab_bitmap.offset, words * 8);
    /* Words that cover only slots never used are not written yet: all of these are free. */
    uint64_t covered = smaller(((uint64_t)span->used + 63) / 64 * 64, span->slots);
    for (uint64_t slot = covered; slot < span->slots; slot++) {
        walk->free[slot / 64] |= (uint64_t)1 << slot % 64;
    }
    return true;
}

static bool slab_agrees(const struct engine_walk *walk) {
    return count_bits(walk->free, 0, walk->span.slots) == walk->span.free;
}

static void read_slab(struct engine_walk *walk) {
    struct engine *engine = walk->engine;
    struct engine_span *span = &walk->span;
    span->units = engine->classes[span->size_class].units;
    bool sound = false;
    for (int attempt = 0; attempt < 3 && !sound; attempt++) {
        if (attempt > 0) {
            walk->loaded = 0;
        }
        if (span->unit + span->units > engine->top || !loaded(walk, span->unit, span->units)) {
            break;
        }
        uint32_t entry = walk->entries[span->unit - walk->first];
        if (kind_of(engine, entry) != SPAN_SLAB || (entry & engine->class_mask) != span->size_class) {
            break;
        }
        span->descriptor = walk->descriptors[span->unit - walk->first];
        if (!take_slab(walk)) {
            continue;
        }
        take_live(walk);
        sound = slab_agrees(walk);
        span->torn = !sound;
        if (!sound && attempt == 2) {
            sound = true; /* as well as can be told */
            walk->torn++;
        }
    }
    if (!sound) {
        span->kind = SPAN_TORN;
        span->units = 1;
        walk->torn++;
    }
}

static void read_large(struct engine_walk *walk) {
    struct engine *engine = walk->engine;
    struct engine_span *span = &walk->span;
    uint64_t at = span->descriptor - engine->large_span.offset;
    if (target_read(engine->target, at, walk->descriptor, engine->large.size)) {
        const size_t size = engine->large.size;
        uint64_t units = field_of(walk->descriptor, size, engine->large_units);
        span->size = field_of(walk->descriptor, size, engine->large_requested);
        span->size += (0 - span->size) & (engine->page - 1);
        if (field_of(walk->descriptor, size, engine->large_first) == span->unit && units >= 1 &&
            units <= engine->top - span->unit && span->size <= units * engine->unit) {
            span->live = walk->entries[span->unit - walk->first] == engine->kinds[SPAN_LARGE];
            span->units = units;
            return;
        }
    }
    span->kind = SPAN_TORN;
    walk->torn++;
}

bool engine_walk_next(struct engine_walk *walk) {
    struct engine *engine = walk->engine;
    if (walk->next >= engine->top || !loaded(walk, walk->next, 1)) {
        return false;
    }
    uint64_t unit = walk->next;
    uint32_t entry = walk->entries[unit - walk->first];
    walk->span = (struct engine_span){.unit = unit,
                                      .units = 1,
                                      .start = engine->base + unit * engine->unit,
                                      .kind = kind_of(engine, entry),
                                      .descriptor = walk->descriptors[unit - walk->first]};
    if (walk->span.kind == SPAN_SLAB) {
        walk->span.size_class = entry & (unsigned)engine->class_mask;
        walk->span.heap = entry >> engine->heap_shift;
        read_slab(walk);
    } else if (walk->span.kind == SPAN_LARGE) {
        read_large(walk);
    }
    walk->next = unit + walk->span.units;
    return true;
}

enum engine_state engine_slot_state(const struct engine_walk *walk, unsigned slot) {
    const struct engine *engine = walk->engine;
    uint64_t granule = slot * engine->classes[walk->span.size_class].size / engine->granule;
    if (bit(walk->free, slot)) {
        return STATE_FREE;
    }
    if (!bit(walk->live, granule)) {
        return STATE_CACHED;
    }
    return bit(walk->remote, granule) ? STATE_REMOTE : STATE_LIVE;
}

/* The states of slots from .. to - 1, whose granules are from * step .. */
static void count_slots(const struct engine_walk *walk, uint64_t from, uint64_t to, uint64_t slots[STATES]) {
    const struct engine *engine = walk->engine;
    uint64_t size = engine->classes[walk->span.size_class].size;
    uint64_t first = from * size / engine->granule;
    uint64_t last = to * size / engine->granule;
    uint64_t live = 0;
    uint64_t remote = 0;
    memset(slots, 0, STATES * sizeof *slots);
    for (uint64_t at = first; at < last; at += 64) {
        unsigned count = (unsigned)smaller(last - at, 64);
        uint64_t bits = bits_of(walk->live, at, count);
        uint64_t freed = bits_of(walk->remote, at, count);
        live += (unsigned)__builtin_popcountll(bits & ~freed);
        remote += (unsigned)__builtin_popcountll(bits & freed);
    }
    slots[STATE_FREE] = count_bits(walk->free, from, to - from);
    slots[STATE_LIVE] = smaller(live, to - from - slots[STATE_FREE]);
    if (walk->span.unsettled && remote != 0) {
        /* Some of those freed remotely are free already. */
        remote = 0;
        for (uint64_t slot = from; slot < to; slot++) {
            remote += engine_slot_state(walk, (unsigned)slot) == STATE_REMOTE;
        }
    }
    uint64_t rest = to - from - slots[STATE_FREE] - slots[STATE_LIVE];
    slots[STATE_REMOTE] = smaller(remote, rest);
    slots[STATE_CACHED] = rest - slots[STATE_REMOTE];
}

void engine_slab_states(const struct engine_walk *walk, uint64_t slots[STATES]) {
    count_slots(walk, 0, walk->span.slots, slots);
}

void engine_page_states(const struct engine_walk *walk, uint64_t offset, uint64_t page_size, uint64_t bytes[STATES]) {
    const uint64_t size = walk->engine->classes[walk->span.size_class].size;
    const uint64_t end = smaller(offset + page_size, walk->span.slots * size);
    memset(bytes, 0, STATES * sizeof *bytes);
    if (offset >= end) {
        return;
    }
    uint64_t from = (offset + size - 1) / size; /* the first slot that begins on the page */
    uint64_t to = end / size;                   /* the first one that does not end on it */
    if (offset % size != 0) {
        bytes[engine_slot_state(walk, (unsigned)(offset / size))] += smaller(from * size, end) - offset;
    }
    if (to > from) {
        uint64_t slots[STATES];
        count_slots(walk, from, to, slots);
        for (unsigned state = 0; state < STATES; state++) {
            bytes[state] += slots[state] * size;
        }
    }
    if (to >= from && to * size < end) {
        bytes[engine_slot_state(walk, (unsigned)to)] += end - to * size;
    }
}

/* Where the span of a unit begins: it has the same entry, and the same descriptor, which tells it. */
bool engine_walk_to(struct engine_walk *walk, struct engine *engine, uint64_t address) {
    uint64_t unit = (address - engine->base) / engine->unit;
    if (address < engine->base || unit >= engine->top) {
        return false;
    }
    engine_walk_start(walk, engine, unit);
    if (loaded(walk, unit, 1)) {
        enum engine_kind kind = kind_of(engine, walk->entries[0]);
        uint64_t first = unit;
        if ((kind == SPAN_SLAB || kind == SPAN_LARGE) &&
            field_read(engine->target, walk->descriptors[0], engine->span_first, &first) && first <= unit) {
            walk->next = first;
        }
    }
    return engine_walk_next(walk);
}

/* --- Heaps -------------------------------------------------------------------------------------------------------- */

bool engine_heap(struct engine *engine, uint64_t id, struct engine_heap *heap) {
    struct layout *layout = engine->layout;
    memset(heap, 0, sizeof *heap);
    heap->id = id;
    if (id == 0 || id > engine->heaps_made ||
        !target_read_pointer(engine->target, engine->heaps + id * 8, &heap->address)) {
        return false;
    }
    uint64_t every = 1;
    uint64_t inbox = 0;
    uint64_t told = 0;
    const struct {
        const char *name;
        uint64_t *value;
    } numbers[] = {
        {"heap.id", &told},
        {"heap.checks_every", &every},
        {"heap.inbox", &inbox},
        {"heap.thread", &heap->thread},
        {"heap.slab_bytes", &heap->slab_bytes},
        {"heap.depot.stored_bytes", &heap->stored_bytes},
        {"heap.larges.units", &heap->large_bytes},
        {"heap.counters.refills", &heap->refills},
        {"heap.counters.flushes", &heap->flushes},
        {"heap.counters.remote_frees", &heap->remote_frees},
        {"heap.counters.adoptions", &heap->adoptions},
        {"heap.counters.stolen", &heap->stolen},
    };
    struct field whole = layout_field(layout, "heap");
    char *copy = make(larger(whole.size, 1));
    bool read = whole.size != 0 && target_read(engine->target, heap->address, copy, whole.size);
    for (size_t i = 0; read && i < COUNT_OF(numbers); i++) {
        struct field field = layout_field(layout, numbers[i].name);
        *numbers[i].value = field_of(copy, whole.size, field);
    }
    free(copy);
    /* One that takes itself for another is a stale entry of the table, or a hostile target's. */
    read = read && told == id;
    heap->large_bytes *= engine->unit;
    heap->checks_every = every != 0;
    heap->in_use = inbox != layout_constant(layout, "INBOX_CLOSED", UINT32_MAX);
    return read;
}

static void add_counters(struct engine *engine, uint64_t heap, const char *name, uint64_t sums[CLASSES_MAX]) {
    uint32_t counters[CLASSES_MAX];
    struct field field = layout_field(engine->layout, name);
    size_t size = engine->class_count * sizeof *counters;
    if (size <= field.size && target_read(engine->target, heap + field.offset, counters, size)) {
        for (unsigned size_class = 0; size_class < engine->class_count; size_class++) {
            sums[size_class] += counters[size_class];
        }
    }
}

void engine_heap_classes(struct engine *engine, const struct engine_heap *heap, uint64_t refills[CLASSES_MAX],
                         uint64_t flushes[CLASSES_MAX]) {
    add_counters(engine, heap->address, "heap.counters.class_refills", refills);
    add_counters(engine, heap->address, "heap.counters.class_flushes", flushes);
}

/* The blocks of the magazine whose top is stored at `place`: between the top and the NULL at its bottom. False when the
 * visit has been ended. */
static bool visit_magazine(struct engine *engine, uint64_t place, struct engine_cached *cached,
                           bool (*visit)(const struct engine_cached *cached, void *context), void *context) {
    uint64_t slots = layout_constant(engine->layout, "MAGAZINE_SLOTS", 0);
    uint64_t blocks[1024];
    uint64_t top;
    if (slots == 0 || slots > COUNT_OF(blocks) || (slots & (slots - 1)) != 0 ||
        !target_read_pointer(engine->target, place, &top)) {
        return true;
    }
    uint64_t start = top & ~(slots * 8 - 1);
    uint64_t count = (top - start) / 8 + 1;
    if (!target_read(engine->target, start, blocks, count * 8)) {
        return true;
    }
    cached->where = "its thread's magazine";
    for (uint64_t i = count; i != 0 && blocks[i - 1] != 0; i--) {
        cached->block = blocks[i - 1];
        if (!visit(cached, context)) {
            return false;
        }
    }
    return true;
}

/* Where a stored magazine of a class has its blocks, counted in `slots` pointers: a full one but for its newest part.
 */
static bool stored_range(struct engine *engine, unsigned size_class, uint64_t slots, uint64_t *first, uint64_t *count) {
    uint64_t share = layout_constant(engine->layout, "KEPT_SHARE", 0);
    uint64_t size = engine->classes[size_class].magazine;
    if (share == 0 || size > slots) {
        return false;
    }
    *first = slots - size;
    *count = size - size / share;
    return true;
}

/* The stored magazines of a class. */
static bool visit_stock(struct engine *engine, uint64_t class_address, struct engine_cached *cached,
                        bool (*visit)(const struct engine_cached *cached, void *context), void *context) {
    struct layout *layout = engine->layout;
    struct field next = layout_field(layout, "stored.next");
    struct field place = layout_field(layout, "stored.slots");
    uint64_t blocks[1024];
    uint64_t stored;
    if (place.size == 0 || place.size > sizeof blocks ||
        !field_read(engine->target, class_address, layout_field(layout, "heap_class.stock.magazines"), &stored)) {
        return true;
    }
    cached->where = "its depot";
    struct circle circle = {0};
    while (stored != 0 && !circle_closed(&circle, stored)) {
        uint64_t first;
        uint64_t held;
        if (!stored_range(engine, cached->size_class, place.size / 8, &first, &held) ||
            !target_read(engine->target, stored + place.offset, blocks, place.size)) {
            break;
        }
        for (uint64_t i = first; i < first + held; i++) {
            cached->block = blocks[i];
            if (!visit(cached, context)) {
                return false;
            }
        }
        if (!field_read(engine->target, stored, next, &stored)) {
            break;
        }
    }
    return true;
}

void engine_cached(struct engine *engine, uint64_t id, bool (*visit)(const struct engine_cached *cached, void *context),
                   void *context) {
    struct layout *layout = engine->layout;
    struct field tops = layout_field(layout, "heap.tops");
    struct field classes = layout_field(layout, "heap.classes");
    struct field each = layout_field(layout, "heap_class");
    struct engine_heap heap;
    uint64_t mode;
    if (!engine_heap(engine, id, &heap) ||
        !field_read(engine->target, heap.address, layout_field(layout, "heap.mode_offset"), &mode)) {
        return;
    }
    for (unsigned size_class = 0; size_class < engine->class_count; size_class++) {
        struct engine_cached cached = {.heap = id, .size_class = size_class};
        uint64_t at = (mode + size_class) * 8;
        if (at + 8 > tops.size || !visit_magazine(engine, heap.address + tops.offset + at, &cached, visit, context) ||
            !visit_stock(engine, heap.address + classes.offset + size_class * (uint64_t)each.size, &cached, visit,
                         context)) {
            return;
        }
    }
}

struct sought {
    uint64_t block;
    const char *where;
};

static bool compare_cached(const struct engine_cached *cached, void *context) {
    struct sought *sought = context;
    if (cached->block == sought->block) {
        sought->where = cached->where;
    }
    return sought->where == NULL;
}

const char *engine_heap_keeps(struct engine *engine, uint64_t id, uint64_t block) {
    struct sought sought = {.block = block};
    engine_cached(engine, id, compare_cached, &sought);
    return sought.where;
}

/* --- Huge blocks -------------------------------------------------------------------------------------------------- */

static int by_huge_start(const void *a, const void *b) {
    const struct engine_huge *left = a;
    const struct engine_huge *right = b;
    return left->start < right->start ? -1 : left->start > right->start;
}

/* The nodes of the tree are visited with a stack of our own, in no order; a circle ends at the limit. */
struct engine_huge *engine_huge_blocks(struct engine *engine, size_t *count) {
    struct layout *layout = engine->layout;
    struct field link = layout_field(layout, "range_node.node");
    struct field left = layout_field(layout, "range_node.node.left");
    struct field right = layout_field(layout, "range_node.node.right");
    struct field start = layout_field(layout, "range_node.start");
    struct field last = layout_field(layout, "range_node.last");
    struct engine_huge *blocks = NULL;
    uint64_t *waiting = NULL;
    size_t waits = 0;
    uint64_t node;
    *count = 0;
    if (field_read(engine->target, engine->huge_table, layout_field(layout, "huge_table.live.tree.root"), &node) &&
        node != 0) {
        waiting = grow(waiting, waits, sizeof *waiting);
        waiting[waits++] = node;
    }
    while (waits != 0 && *count < HUGE_LIMIT) {
        node = waiting[--waits] - link.offset;
        struct engine_huge block;
        if (!field_read(engine->target, node, start, &block.start) ||
            !field_read(engine->target, node, last, &block.last) || block.last < block.start) {
            continue;
        }
        blocks = grow(blocks, *count, sizeof *blocks);
        blocks[(*count)++] = block;
        const struct field sides[] = {left, right};
        for (unsigned i = 0; i < 2; i++) {
            uint64_t side;
            if (field_read(engine->target, node, sides[i], &side) && side != 0) {
                waiting = grow(waiting, waits, sizeof *waiting);
                waiting[waits++] = side;
            }
        }
    }
    free(waiting);
    if (*count != 0) {
        qsort(blocks, *count, sizeof *blocks, by_huge_start);
    }
    return blocks;
}

bool engine_huge_freed(struct engine *engine, uint64_t address, struct engine_huge *block) {
    struct field freed = layout_field(engine->layout, "huge_table.freed");
    for (uint64_t at = 0; at + sizeof *block <= freed.size; at += sizeof *block) {
        if (target_read(engine->target, engine->huge_table + freed.offset + at, block, sizeof *block) &&
            block->last != 0 && address >= block->start && address <= block->last) {
            return true;
        }
    }
    return false;
}
