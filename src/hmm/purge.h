/* purge.h - gives the pages of free blocks back to the system, if there is one. */
#pragma once

#include <stddef.h>

#include "config.h"

struct HmmHeap;
struct program_break;

/* From this size on, hmm_clear_large clears blocks. */
#define HMM_CLEAR_MIN ((size_t)1 << 20)

#if HMM_BREAK && __STDC_HOSTED__

/* Largest blocks first, until `bytes` are purged or PURGE_PROBES blocks examined. Skips the last block, which lowering
 * the break gives back. Blocks stay free. */
void hmm_purge_freelist(struct HmmHeap *heap, size_t bytes);

/* All whole pages in free blocks; returns their bytes. O(free blocks). */
size_t hmm_purge_all(struct HmmHeap *heap);

/* If the process's limits count addresses: those of large free blocks in the region that grows, lowest first, which
 * divides that region, and in those divided from it; returns their bytes. Only of malloc's heap, whose memory nobody
 * else unmaps. */
size_t hmm_unmap_holes(struct HmmHeap *heap);

/* Maps addresses that hmm_unmap_holes gave up again, where nobody else has mapped anything, for a free block of `size`
 * bytes, and `extra` bytes more if possible; NULL if there is no room. For when the break cannot rise: a limit on data
 * counts the holes below a real one, and a reserved one has an end. */
struct block *hmm_fill_hole(struct HmmHeap *heap, size_t size, size_t extra);

/* Zeroes memory below a break that nobody else knows. Purges its pages if the last user touched less than half of them,
 * because writing would make all present: two words in each of 16 pages tell. Takes no lock; the break may be a copy.
 */
void hmm_clear_large(struct program_break *brk, void *start, size_t size);

#else

#define hmm_purge_freelist(heap, bytes) ((void)(bytes))
#define hmm_purge_all(heap) ((size_t)0)
#define hmm_unmap_holes(heap) ((size_t)0)
#define hmm_fill_hole(heap, size, extra) ((struct block *)NULL)

static inline void hmm_clear_large(struct program_break *brk, void *start, size_t size) {
    (void)brk;
    __builtin_memset(start, 0, size);
}

#endif
