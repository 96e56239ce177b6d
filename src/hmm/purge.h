/*
 * purge.h - gives the pages of free blocks back to the system. Without one there are none.
 */
#ifndef MEMS_HMM_PURGE_H
#define MEMS_HMM_PURGE_H

#include <stddef.h>

#include "config.h"

struct HmmHeap;

#if HMM_BREAK && __STDC_HOSTED__

/* Purges the pages of large free blocks, largest first, until it has purged `bytes` or looked at PURGE_PROBES blocks.
 * Skips the last block, which lowering the break gives back. The blocks remain free. */
void hmm_purge_freelist(struct HmmHeap *heap, size_t bytes);

/* Purges all whole pages in all free blocks and returns their bytes. O(number of free blocks). */
size_t hmm_purge_all(struct HmmHeap *heap);

#else

#define hmm_purge_freelist(heap, bytes) ((void)(bytes))
#define hmm_purge_all(heap) ((size_t)0)

#endif

#endif
