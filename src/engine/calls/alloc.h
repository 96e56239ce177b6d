/* alloc.h - blocks for the other entry points: beyond the slabs, and in a wider slot than necessary. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* A block too large, or too strictly aligned, for a slab; *zero tells whether it reads as zero. */
void *alloc_big(size_t size, size_t alignment, bool *zero);

/* A block in the window, whatever its size. */
void *alloc_large(size_t size, size_t alignment, bool *zero);

/* A growing block of `size` bytes in the window, with headroom up to `ample` bytes (large_keep_headroom). *fresh:
 * none of its pages has memory; `purge`: otherwise its headroom must have none. */
void *alloc_grown(size_t size, size_t ample, bool purge, bool *fresh);

/* A block for `size` bytes, in a slot for at least that: `ample` bytes. */
void *alloc_ample(size_t size, size_t ample);

/* Counts the change in size of a big block resized in place. When sampling, the block may become a sample. */
void alloc_count_resized(void *block, size_t old_size, size_t size);
