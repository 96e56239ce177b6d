/* purge.h - gives the pages of free blocks back to the system. Without one there are none. */
#pragma once

#include <stddef.h>

#include "config.h"

struct HmmHeap;
struct program_break;

/* Blocks of this size are cleared by hmm_clear_large. */
#define HMM_CLEAR_MIN ((size_t)1 << 20)

#if HMM_BREAK && __STDC_HOSTED__

/* Purges the pages of large free blocks, largest first, until it has purged `bytes` or looked at PURGE_PROBES blocks.
 * Skips the last block, which lowering the break gives back. The blocks remain free. */
void hmm_purge_freelist(struct HmmHeap *heap, size_t bytes);

/* Purges all whole pages in all free blocks and returns their bytes. O(number of free blocks). */
size_t hmm_purge_all(struct HmmHeap *heap);

/* Makes memory below a break zero, of which nobody else knows: purges its pages if the last user touched less than half
 * of them, because writing zeros would make all present. Reads two words in each of 16 pages to decide. Takes no lock;
 * the break may be a copy. */
void hmm_clear_large(struct program_break *brk, void *start, size_t size);

#else

#define hmm_purge_freelist(heap, bytes) ((void)(bytes))
#define hmm_purge_all(heap) ((size_t)0)

static inline void hmm_clear_large(struct program_break *brk, void *start, size_t size) {
    (void)brk;
    __builtin_memset(start, 0, size);
}

#endif
