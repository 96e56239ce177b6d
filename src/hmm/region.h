/*
 * region.h - the memory between where the break was and where it is.
 */
#ifndef MEMS_HMM_REGION_H
#define MEMS_HMM_REGION_H

#include "state.h"

/* Memory comes from this break from then on; what there is already stays where it is. */
void hmm_heap_start(const struct program_break *brk);

/*
 * Raises the break until the last block is a free one of at least `size` bytes, and somewhat further, so that it moves
 * rarely. Returns that block, which is in the free list; NULL when there is no more memory.
 */
struct block *hmm_alloc_extra(size_t size);

/* Lowers the break until `keep` bytes are left of the last block, if that is free. Returns by how many bytes. */
size_t hmm_trim_break(size_t keep);

/* By how much more than is needed the break is raised: also what a trimmed heap keeps. */
size_t hmm_region_extra(void);

/* The first block of a region, which is its end if it has none. */
struct block *hmm_region_first(const struct region *region);

/* The region that an address lies in; NULL: none. O(number of regions), for reports. */
const struct region *hmm_region_of(const void *address);

#endif
