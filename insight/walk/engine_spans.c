#include "walk/engine_spans.h"

#include <stdlib.h>
#include <string.h>

#include "support/support.h"
#include "walk/engine_huge.h"
#include "walk/engine_slots.h"

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

/* Reads ahead from a unit on; false if not even that unit can be read. */
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
    if (entry == engine->samples) {
        return SPAN_SAMPLES;
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

/* Copies the slab's bits of the live map from the read-ahead buffer, and clears the live bits of blocks in
 * magazines. */
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

/* Reads the descriptor; false if it cannot belong to this span. */
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
        sound = engine_slots_free(walk) == span->free;
        span->torn = !sound;
        if (!sound && attempt == 2) {
            sound = true; /* it keeps changing: use it as it is */
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
        span->live = walk->entries[span->unit - walk->first] == engine->kinds[SPAN_LARGE];
        if (!span->live) {
            span->size = smaller(span->size, units * engine->unit); /* it may not have been set yet */
        }
        if (field_of(walk->descriptor, size, engine->large_first) == span->unit && units >= 1 &&
            units <= engine->top - span->unit && span->size <= units * engine->unit) {
            span->units = units;
            span->heap = field_of(walk->descriptor, size, engine->large_arena);
            return;
        }
    }
    span->kind = SPAN_TORN;
    walk->torn++;
}

static void read_samples(struct engine_walk *walk) {
    struct engine *engine = walk->engine;
    struct engine_span *span = &walk->span;
    uint64_t at = span->descriptor - engine->guarded_span.offset;
    uint64_t units;
    uint64_t first;
    uint64_t kind;
    if (field_read(engine->target, at, engine->guarded_units, &units) &&
        field_read(engine->target, at, engine->guarded_first, &first) && first == span->unit && units >= 1 &&
        units <= engine->top - span->unit && field_read(engine->target, at, engine->guarded_kind, &kind) &&
        field_read(engine->target, at, engine->guarded_cells, &span->cells) && kind < 8) {
        span->units = units;
        span->cell_size = (engine->target->page_size << kind) + engine->target->page_size;
        if (span->cells != 0 && span->cells <= units * engine->unit / span->cell_size) {
            return;
        }
    }
    span->kind = SPAN_TORN;
    span->units = 1;
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
    } else if (walk->span.kind == SPAN_SAMPLES) {
        read_samples(walk);
    }
    walk->next = unit + walk->span.units;
    return true;
}

uint64_t engine_unit_bits(const struct engine_walk *walk) {
    const struct engine *engine = walk->engine;
    const uint64_t bytes = live_unit_bytes(engine);
    const char *words = walk->live_map + (walk->span.unit - walk->first) * bytes;
    uint64_t bits = 0;
    for (uint64_t at = 0; at < bytes; at += engine->live_word.size) {
        uint64_t live;
        uint64_t remote;
        memcpy(&live, words + at + engine->live_word_live.offset, sizeof live);
        memcpy(&remote, words + at + engine->live_word_remote.offset, sizeof remote);
        bits += (unsigned)__builtin_popcountll(live) + (unsigned)__builtin_popcountll(remote);
    }
    return bits;
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
        if ((kind == SPAN_SLAB || kind == SPAN_LARGE || kind == SPAN_SAMPLES) &&
            field_read(engine->target, walk->descriptors[0], engine->span_first, &first) && first <= unit) {
            walk->next = first;
        }
    }
    return engine_walk_next(walk);
}

uint64_t engine_live_bytes(struct engine *engine) {
    uint64_t sum = 0;
    struct engine_walk walk;
    engine_walk_start(&walk, engine, 0);
    while (engine_walk_next(&walk)) {
        if (walk.span.kind == SPAN_SLAB) {
            uint64_t slots[STATES];
            engine_slab_states(&walk, slots);
            sum += slots[STATE_LIVE] * engine->classes[walk.span.size_class].size;
        } else if (walk.span.kind == SPAN_LARGE && walk.span.live) {
            sum += walk.span.size;
        }
    }
    engine_walk_end(&walk);
    size_t count;
    struct engine_huge *huge = engine_huge_blocks(engine, &count);
    for (size_t i = 0; i < count; i++) {
        sum += huge[i].last - huge[i].start + 1;
    }
    free(huge);
    return sum;
}
