/*
 * region.h - the memory that a heap consists of: pieces without gaps.
 */
#ifndef MEMS_HMM_REGION_H
#define MEMS_HMM_REGION_H

#include "state.h"

/* What a region has beyond its blocks at most: the alignment of both ends, and its end. */
#define REGION_OVERHEAD (2 * BLOCK_ALIGN + BLOCK_HEADER)

/* The header at a region's end: its size, 0, is no block's, and as a cached one it is nobody's to free. */
#define REGION_END_TAG (BLOCK_USED | BLOCK_CACHED)

/* The heap is about to get its first memory. */
void hmm_heap_start(struct HmmHeap *heap);

/* Memory that does not grow. EINVAL where it has no room for a block, is too large for a region, or overlaps another;
 * ENOMEM where there are HMM_REGIONS. */
int hmm_heap_add_memory(struct HmmHeap *heap, void *memory, size_t size);

/* A region of start..end, one free block; NULL where that is too little or too much, or overlaps another region, or
 * there are too many. */
struct region *hmm_region_add(struct HmmHeap *heap, char *start, char *end);

/* The bytes of all regions are so many from now on. */
void hmm_heap_resized(struct HmmHeap *heap, size_t size);

/* Payloads are looked for in this region first. */
void hmm_region_look(struct HmmHeap *heap, const struct region *region);

/* The region that an address lies in; NULL: none. At most log2(HMM_REGIONS) steps. */
const struct region *hmm_region_of(const struct HmmHeap *heap, const void *address);

#endif
