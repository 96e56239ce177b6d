/* supply_big.h - where large and huge blocks come from when the thread's cache has none, and which of the two a block
 * is. They end like those of supply.h, and are also called with no lock held. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct heap;

/* A block outside the slabs, for the calling thread's heap (NULL: it has none). *zero: it reads as zero. */
typedef void *supply_function(struct heap *heap, size_t size, size_t alignment, bool *zero);

/* In the window; or, as the size demands, in a mapping. */
supply_function supply_large;
supply_function supply_big;

/* See alloc_grown (alloc.h). */
void *supply_grown(struct heap *heap, size_t size, size_t ample, bool purge, bool *fresh);
