/*
 * region.h - the memory that a heap consists of. One region may grow: that whose end is the program break.
 */
#ifndef MEMS_HMM_REGION_H
#define MEMS_HMM_REGION_H

#include "state.h"

/* What a region has beyond its blocks at most: the alignment of both ends, and its end. */
#define REGION_OVERHEAD (2 * BLOCK_ALIGN + BLOCK_HEADER)

/* The heap is about to get its first memory. */
void hmm_heap_start(struct HmmHeap *heap);

/* Memory comes from this break from then on; what there is already stays where it is. */
void hmm_heap_use_break(struct HmmHeap *heap, const struct program_break *brk);

/* Memory that does not grow. EINVAL where it has no room for a block, is too large for a region, or overlaps another;
 * ENOMEM where there are HMM_REGIONS. */
int hmm_heap_add_memory(struct HmmHeap *heap, void *memory, size_t size);

/*
 * Raises the break until the last block of the region that grows is a free one of at least `size` bytes, and somewhat
 * further, so that it moves rarely. Where it cannot rise the heap goes on in a further region, if the system gives one.
 * Returns the block, which is in the free list; NULL when there is no more memory.
 */
struct block *hmm_alloc_extra(struct HmmHeap *heap, size_t size);

/* Lowers the break until `keep` bytes are left of the last block, if that is free. Returns by how many bytes. */
size_t hmm_trim_break(struct HmmHeap *heap, size_t keep);

/* By how much more than is needed the break is raised: also what a trimmed heap keeps. */
size_t hmm_region_extra(const struct HmmHeap *heap);

/* The region that an address lies in; NULL: none. At most log2(HMM_REGIONS) steps. */
const struct region *hmm_region_of(const struct HmmHeap *heap, const void *address);

#endif
