/* engine_spans.h - a walk through the engine's window, span by span. Everything is read in its current state; while the
 * target runs, a slab whose numbers do not agree is read again, and counted if they still do not. */
#pragma once

#include "walk/engine.h"

/* Where a walk is: a run of units. Free units come one at a time. */
struct engine_span {
    uint64_t unit;
    uint64_t units;
    uint64_t start; /* address */
    enum engine_kind kind;
    unsigned size_class;
    uint64_t heap;       /* id; for a large block its arena's, 0: none */
    uint64_t descriptor; /* address; 0: none */
    /* Of a slab: */
    unsigned slots;
    unsigned free;
    unsigned used;
    bool unsettled;
    uint64_t born_s; /* 0: not known */
    bool torn;       /* its numbers disagree, even after a second reading */
    /* Of a span of sampled blocks: */
    uint64_t cells;
    uint64_t cell_size; /* bytes, the guard behind it included */
    /* Of a large block: */
    uint64_t size;
    bool live;
};

#define WALK_UNITS 256u

struct engine_walk {
    struct engine *engine;
    struct engine_span span;
    uint64_t next; /* unit */
    uint64_t torn; /* slabs that changed while they were read */

    /* The read-ahead buffer, for `loaded` units from `first` on: entries of the page map and of the table of spans, the
     * live map of slabs, and descriptors, at a span's first unit. */
    uint64_t first;
    uint64_t loaded;
    uint32_t entries[WALK_UNITS];
    uint64_t descriptors[WALK_UNITS];
    char *live_map;
    char *copies; /* of descriptors: copy_size bytes for each unit */
    size_t copy_size;
    bool copied[WALK_UNITS];

    /* The slab's bits by slot (free) and by granule (live, remote). */
    uint64_t *free;
    uint64_t *live;
    uint64_t *remote;
    bool has_remote;        /* a bit of them is set */
    const char *descriptor; /* of the span, in the buffer */
};

void engine_walk_start(struct engine_walk *walk, struct engine *engine, uint64_t unit);
void engine_walk_end(struct engine_walk *walk);

/* False behind the last span. */
bool engine_walk_next(struct engine_walk *walk);

/* Whether memory mapped at a span is the window's: in unmapped or lost units it is a huge block, or not ours. */
static inline bool engine_span_mapped(const struct engine_span *span) {
    return span->kind != SPAN_UNMAPPED && span->kind != SPAN_LOST;
}

/* Set bits of the live map in the first unit of a span that is no slab; 0 if unreadable. */
uint64_t engine_unit_bits(const struct engine_walk *walk);

/* Moves the walk to the span of an address; false if there is none. */
bool engine_walk_to(struct engine_walk *walk, struct engine *engine, uint64_t address);

/* Whole slots, large and huge blocks. */
uint64_t engine_live_bytes(struct engine *engine);
