/* alloc.h - blocks beyond the slabs, and in wider slots than necessary, for the other entry points. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Too large, or too strictly aligned, for a slab. *zero: it reads as zero. */
void *alloc_big(size_t size, size_t alignment, bool *zero);

/* In the window, whatever its size. */
void *alloc_large(size_t size, size_t alignment, bool *zero);

/* A growing block in the window, with headroom up to `ample` bytes (large_keep_headroom). *fresh: none of its pages has
 * memory; `purge`: otherwise its headroom must have none. */
void *alloc_grown(size_t size, size_t ample, bool purge, bool *fresh);

/* A block of a class with room for `size` bytes, whose slots are all at multiples of `alignment`. */
void *alloc_of_class(unsigned size_class, size_t size, size_t alignment);

/* A block for `size` bytes, in a slot for at least `ample`. */
void *alloc_ample(size_t size, size_t ample);

/* Counts the change of a big block resized in place. When sampling, the block may become a sample. */
void alloc_count_resized(void *block, size_t old_size, size_t size);
