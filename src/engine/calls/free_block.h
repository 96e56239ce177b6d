/* free_block.h - the steps of a free beyond the fast path that all modes have in common. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "engine/heaps/heap.h"

/* Frees a block of a slab that the thread's heap does not own; `entry` is the page map's. False if it is not live. */
bool free_in_slab(void *block, uint32_t entry);

/* The same for a block of another heap's slab, with a fault if it is not live, and with upkeep. */
void free_remotely(void *block, unsigned size_class);

/* Whether the block's slab, which was abandoned a moment ago, has become the calling thread's. A thread adopts the
 * first such slab that it frees into if it has no magazine of the class yet, and another at the STRAYS_MAXth such free
 * after a refill; one that only frees leaves them to threads that allocate. */
bool free_adopt(const void *block, unsigned size_class);

/* Counts a free in a slab that the heap did not have. A thread that only frees others' blocks does upkeep too. */
void free_count_foreign(struct heap *heap, unsigned size_class);

/* Frees a block in a mapping outside the window; false if it is none. */
bool free_huge(void *block);
