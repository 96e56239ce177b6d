/* engine_huge.h - blocks in mappings outside the window. */
#pragma once

#include "walk/engine.h"

struct engine_huge {
    uint64_t start;
    uint64_t last;
    uint64_t descriptor; /* address; of a live one */
};

/* Live ones, ascending; the caller frees the array. */
struct engine_huge *engine_huge_blocks(struct engine *engine, size_t *count);

/* In the window, or in a huge block. */
bool engine_holds(struct engine *engine, uint64_t address);

/* Whether an address is in a recently freed huge block, and which. */
bool engine_huge_freed(struct engine *engine, uint64_t address, struct engine_huge *block);
