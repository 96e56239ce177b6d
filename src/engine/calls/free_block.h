/* free_block.h - steps of a free beyond the fast path, common to all modes. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "engine/heaps/heap.h"

/* In a slab that the thread's heap does not own; `entry` is the page map's. False if not live. */
bool free_in_slab(void *block, uint32_t entry);

/* In another heap's slab, with a fault if not live, and with upkeep. */
void free_remotely(void *block, unsigned size_class);

/* Whether the block's slab, abandoned a moment ago, is now the calling thread's. A thread adopts the first such slab
 * that it frees into if it has no magazine of the class yet, and another at the STRAYS_MAXth such free after a refill;
 * one that only frees leaves them to threads that allocate. */
bool free_adopt(const void *block, unsigned size_class);

/* Counts a free in a slab that the heap did not have: a thread that only frees others' blocks does upkeep too. */
void free_count_foreign(struct heap *heap, unsigned size_class);

/* A block in a mapping outside the window; false if it is none. */
bool free_huge(void *block);
