/*
 * engine_hardened.h - what the hardened modes know about the engine's blocks: exact sizes, canaries, quarantines.
 */
#pragma once

#include "walk/engine_heaps.h"
#include "walk/engine_huge.h"
#include "walk/engine_spans.h"

/* What is known of a block: of a slot by its record. `changed` and `first` are for a live block: how many bytes of the
 * canary behind it have changed, and which one is the first, counted from the block's end. */
struct engine_record {
    bool live;
    uint64_t size; /* requested for the block, or for the last one */
    uint64_t changed;
    uint64_t first;
};

/* Whether the library keeps records of slots. */
bool engine_has_records(struct engine *engine);

/* False if the library keeps no records, or they cannot be read. */
bool engine_record(struct engine *engine, const struct engine_span *span, uint64_t slot, struct engine_record *record);

/* The record of the live block that a large span is, or of a huge block; false if it has no canary. */
bool engine_large_record(struct engine *engine, const struct engine_walk *walk, struct engine_record *record);
bool engine_huge_record(struct engine *engine, const struct engine_huge *huge, struct engine_record *record);

/* Whether a large block that is not live is fenced: it stays in quarantine, and faults when touched. */
bool engine_large_fenced(struct engine *engine, const struct engine_walk *walk);

/* Shows the blocks of a class in a heap's quarantine to `visit`. False when that has ended the visit. */
bool engine_quarantine(struct engine *engine, uint64_t heap, struct engine_cached *cached,
                       bool (*visit)(const struct engine_cached *cached, void *context), void *context);
