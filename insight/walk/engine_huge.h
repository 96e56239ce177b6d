/*
 * engine_huge.h - the blocks that have mappings outside the window.
 */
#pragma once

#include "walk/engine.h"

struct engine_huge {
    uint64_t start;
    uint64_t last;
    uint64_t descriptor; /* address; of a live one */
};

/* The live ones, ascending; the caller frees the array. *count tells how many. */
struct engine_huge *engine_huge_blocks(struct engine *engine, size_t *count);

/* Whether an address is in the window, or in a huge block. */
bool engine_holds(struct engine *engine, uint64_t address);

/* Whether an address is in a recently freed huge block, and which. */
bool engine_huge_freed(struct engine *engine, uint64_t address, struct engine_huge *block);
