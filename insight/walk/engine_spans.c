#include "walk/engine_spans.h"

#include <stdlib.h>
#include <string.h>

#include "support/sorted.h"
#include "support/support.h"
#include "walk/engine_huge.h"
#include "walk/engine_slots.h"

#define GUARDED_BYTES_MAX 4096u

static uint64_t live_unit_bytes(const struct engine *engine) {
    return engine->unit / engine->granule / 64 * engine->fields.live_word.size;
}

/* The size of a slab's descriptor, with its bitmap. */
static size_t slab_bytes(const struct engine *engine, const struct engine_class *size_class) {
    return larger(engine->fields.slab_bitmap.offset + (size_class->slots + 63) / 64 * 8, engine->fields.slab.size);
}

/* The part of it that is of interest. */
static size_t guarded_bytes(const struct engine *engine) {
    const struct field fields[] = {engine->fields.guarded_first, engine->fields.guarded_units,
                                   engine->fields.guarded_cells, engine->fields.guarded_kind};
    size_t size = 0;
    for (size_t i = 0; i < COUNT_OF(fields); i++) {
        size = larger(size, (size_t)fields[i].offset + fields[i].size);
    }
    return size <= GUARDED_BYTES_MAX ? size : 0;
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
    walk->copy_size = larger(engine->fields.large.size, guarded_bytes(engine));
    for (unsigned i = 0; i < engine->class_count; i++) {
        walk->copy_size = larger(walk->copy_size, slab_bytes(engine, &engine->classes[i]));
    }
    walk->copies = make(WALK_UNITS * walk->copy_size);
}

void engine_walk_end(struct engine_walk *walk) {
    free(walk->live_map);
    free(walk->free);
    free(walk->live);
    free(walk->remote);
    free(walk->copies);
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

/* Where a span's descriptor begins and how much to read; 0 bytes: none. */
static size_t descriptor_of(const struct engine *engine, uint32_t entry, uint64_t span, uint64_t *descriptor) {
    switch (kind_of(engine, entry)) {
    case SPAN_SLAB:
        *descriptor = span - engine->fields.slab_span.offset;
        return slab_bytes(engine, &engine->classes[entry & engine->class_mask]);
    case SPAN_LARGE:
        *descriptor = span - engine->fields.large_span.offset;
        return engine->fields.large.size;
    case SPAN_SAMPLES:
        *descriptor = span - engine->fields.guarded_span.offset;
        return guarded_bytes(engine);
    default:
        return 0;
    }
}

/* What else to read of the units in the buffer: descriptors, and slabs' live map. Units of a span share a descriptor,
 * and neighbours' bits are read together, across a few units that are no slab's: their bits fill no page. Returns the
 * number of readings; descriptors come first, and `units` says of which unit each is. */
static size_t plan_details(struct engine_walk *walk, struct reading *readings, unsigned *units, size_t *descriptors) {
    const struct engine *engine = walk->engine;
    const uint64_t live = live_unit_bytes(engine);
    size_t count = 0;
    for (unsigned i = 0; i < walk->loaded; i++) {
        uint64_t address;
        size_t size = descriptor_of(engine, walk->entries[i], walk->descriptors[i], &address);
        walk->copied[i] = false;
        if (size != 0 && (i == 0 || walk->descriptors[i] != walk->descriptors[i - 1])) {
            units[count] = i;
            readings[count++] = (struct reading){address, walk->copies + i * walk->copy_size, size, false};
        }
    }
    *descriptors = count;
    for (unsigned i = 0; i < walk->loaded; i++) {
        if (kind_of(engine, walk->entries[i]) == SPAN_SLAB) {
            const uint64_t address = engine->live_map + (walk->first + i) * live;
            struct reading *last = count > *descriptors ? &readings[count - 1] : NULL;
            if (last != NULL && address - (last->address + last->size) < engine->target->page_size) {
                last->size = address + live - last->address;
            } else {
                readings[count++] = (struct reading){address, walk->live_map + i * live, live, false};
            }
        }
    }
    return count;
}

/* Reads ahead: up to WALK_UNITS units in two system calls. False if they cannot be read. */
static bool load(struct engine_walk *walk, uint64_t unit) {
    struct engine *engine = walk->engine;
    const uint64_t units = smaller(engine->top - unit, WALK_UNITS);
    struct reading readings[2 * WALK_UNITS] = {
        {engine->page_map + unit * sizeof *walk->entries, walk->entries, units * sizeof *walk->entries, false},
        {engine->spans + unit * sizeof *walk->descriptors, walk->descriptors, units * sizeof *walk->descriptors, false},
    };
    unsigned described[WALK_UNITS];
    size_t descriptors;
    walk->loaded = 0;
    target_read_many(engine->target, readings, 2);
    if (!readings[0].read || !readings[1].read) {
        return false;
    }
    walk->first = unit;
    walk->loaded = units;
    const size_t count = plan_details(walk, readings, described, &descriptors);
    target_read_many(engine->target, readings, count);
    for (size_t i = 0; i < count; i++) {
        if (i < descriptors) {
            walk->copied[described[i]] = readings[i].read;
        } else if (!readings[i].read) {
            walk->loaded = 0;
        }
    }
    return walk->loaded != 0;
}

static bool loaded(struct engine_walk *walk, uint64_t unit, uint64_t units) {
    return (unit >= walk->first && unit + units <= walk->first + walk->loaded) ||
           (load(walk, unit) && units <= walk->loaded);
}

/* From the read-ahead buffer; clears the live bits of blocks in magazines. */
static void take_live(struct engine_walk *walk) {
    struct engine *engine = walk->engine;
    const struct engine_span *span = &walk->span;
    size_t words = span->units * engine->unit / engine->granule / 64;
    const char *from = walk->live_map + (span->unit - walk->first) * live_unit_bytes(engine);
    const char *live = from + engine->fields.live_word_live.offset;
    const char *remote = from + engine->fields.live_word_remote.offset;
    uint64_t any = 0;
    for (size_t i = 0; i < words; i++, live += engine->fields.live_word.size, remote += engine->fields.live_word.size) {
        memcpy(&walk->live[i], live, 8);
        memcpy(&walk->remote[i], remote, 8);
        any |= walk->remote[i];
    }
    walk->has_remote = any != 0;
    const uint64_t end = span->start + span->units * engine->unit;
    size_t i = sorted_from(engine->deferred, engine->deferred_count, sizeof *engine->deferred, span->start);
    for (; i < engine->deferred_count && engine->deferred[i] < end; i++) {
        uint64_t granule = (engine->deferred[i] - span->start) / engine->granule;
        walk->live[granule / 64] &= ~((uint64_t)1 << granule % 64);
    }
}

/* In the copy; false if there is none. */
static bool find_descriptor(struct engine_walk *walk) {
    const uint64_t unit = walk->span.unit - walk->first;
    walk->descriptor = walk->copies + unit * walk->copy_size;
    return walk->copied[unit];
}

/* False if the descriptor cannot belong to this span. */
static bool take_slab(struct engine_walk *walk) {
    struct engine *engine = walk->engine;
    struct engine_span *span = &walk->span;
    const struct engine_class *size_class = &engine->classes[span->size_class];
    uint64_t words = (size_class->slots + 63) / 64;
    const size_t size = slab_bytes(engine, size_class);
    if (!find_descriptor(walk)) {
        return false;
    }
    const void *slab = walk->descriptor;
    span->slots = (unsigned)field_of(slab, size, engine->fields.slab_slots);
    span->free = (unsigned)field_of(slab, size, engine->fields.slab_free);
    span->used = (unsigned)field_of(slab, size, engine->fields.slab_used);
    span->unsettled = field_of(slab, size, engine->fields.slab_unsettled) != 0;
    span->born_s = field_of(slab, size, engine->fields.slab_born);
    if (field_of(slab, size, engine->fields.slab_first) != span->unit ||
        field_of(slab, size, engine->fields.slab_units) != span->units || span->slots != size_class->slots ||
        span->used > span->slots || span->free > span->slots) {
        return false;
    }
    memset(walk->free, 0, (words + 1) * 8);
    memcpy(walk->free, walk->descriptor + engine->fields.slab_bitmap.offset, words * 8);
    /* Words that cover only slots never used are not written yet: all of these are free. */
    for (uint64_t word = (span->used + 63) / 64; word < words; word++) {
        walk->free[word] = UINT64_MAX;
    }
    if (span->slots % 64 != 0) {
        walk->free[words - 1] &= ((uint64_t)1 << span->slots % 64) - 1;
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
    if (find_descriptor(walk)) {
        const size_t size = engine->fields.large.size;
        uint64_t units = field_of(walk->descriptor, size, engine->fields.large_units);
        span->size = field_of(walk->descriptor, size, engine->fields.large_requested);
        span->size += (0 - span->size) & (engine->page - 1);
        span->live = walk->entries[span->unit - walk->first] == engine->kinds[SPAN_LARGE];
        if (!span->live) {
            span->size = smaller(span->size, units * engine->unit); /* it may not have been set yet */
        }
        if (field_of(walk->descriptor, size, engine->fields.large_first) == span->unit && units >= 1 &&
            units <= engine->top - span->unit && span->size <= units * engine->unit) {
            span->units = units;
            span->heap = field_of(walk->descriptor, size, engine->fields.large_arena);
            return;
        }
    }
    span->kind = SPAN_TORN;
    walk->torn++;
}

static void read_samples(struct engine_walk *walk) {
    struct engine *engine = walk->engine;
    struct engine_span *span = &walk->span;
    if (find_descriptor(walk)) {
        const size_t size = guarded_bytes(engine);
        const uint64_t units = field_of(walk->descriptor, size, engine->fields.guarded_units);
        const uint64_t kind = field_of(walk->descriptor, size, engine->fields.guarded_kind);
        span->cells = field_of(walk->descriptor, size, engine->fields.guarded_cells);
        span->cell_size = (engine->target->page_size << (kind & 7)) + engine->target->page_size;
        if (field_of(walk->descriptor, size, engine->fields.guarded_first) == span->unit && units >= 1 &&
            units <= engine->top - span->unit && engine->fields.guarded_kind.size != 0 && kind < 8 &&
            span->cells != 0 && span->cells <= units * engine->unit / span->cell_size) {
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
    } else if (walk->span.kind == SPAN_SAMPLES) {
        read_samples(walk);
    }
    walk->next = unit + walk->span.units;
    return true;
}

uint64_t engine_unit_bits(const struct engine_walk *walk) {
    const struct engine *engine = walk->engine;
    const uint64_t bytes = live_unit_bytes(engine);
    char *words = walk->live_map + (walk->span.unit - walk->first) * bytes;
    uint64_t bits = 0;
    if (!target_read(engine->target, engine->live_map + walk->span.unit * bytes, words, bytes)) {
        return 0;
    }
    for (uint64_t at = 0; at < bytes; at += engine->fields.live_word.size) {
        uint64_t live;
        uint64_t remote;
        memcpy(&live, words + at + engine->fields.live_word_live.offset, sizeof live);
        memcpy(&remote, words + at + engine->fields.live_word_remote.offset, sizeof remote);
        bits += (unsigned)__builtin_popcountll(live) + (unsigned)__builtin_popcountll(remote);
    }
    return bits;
}

/* The span of a unit begins at a unit with the same entry and descriptor. */
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
            field_read(engine->target, walk->descriptors[0], engine->fields.span_first, &first) && first <= unit) {
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
