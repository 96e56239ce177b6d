/* engine_hardened.h - exact sizes, canaries and quarantines of the engine's hardened modes. */
#pragma once

#include "walk/engine_heaps.h"
#include "walk/engine_huge.h"
#include "walk/engine_spans.h"

/* A slot's block by its record. For a live one: how many bytes of the canary have changed, and the first of them,
 * counted from the block's end. */
struct engine_record {
    bool live;
    uint64_t size; /* for this block, or the last one */
    uint64_t changed;
    uint64_t first;
};

/* Whether the library keeps records of slots. */
bool engine_has_records(struct engine *engine);

/* False without records, or if they cannot be read. */
bool engine_record(struct engine *engine, const struct engine_span *span, uint64_t slot, struct engine_record *record);

/* Of a live large or huge block; false if it has no canary. */
bool engine_large_record(struct engine *engine, const struct engine_walk *walk, struct engine_record *record);
bool engine_huge_record(struct engine *engine, const struct engine_huge *huge, struct engine_record *record);

/* A fenced block is in quarantine, and faults when touched. */
bool engine_large_fenced(struct engine *engine, const struct engine_walk *walk);

/* Visits the blocks of a class in a heap's quarantine. False if that ended the visit. */
bool engine_quarantine(struct engine *engine, uint64_t heap, struct engine_cached *cached,
                       bool (*visit)(const struct engine_cached *cached, void *context), void *context);
