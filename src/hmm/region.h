/* region.h - the pieces of contiguous memory that make up a heap. */
#pragma once

#include "heap_state.h"

/* A region's most bytes beyond its blocks: the alignment of both ends, and its end. */
#define REGION_OVERHEAD (2 * BLOCK_ALIGN + BLOCK_HEADER)

/* No block has size 0, and a cached block is nobody's to free. */
#define REGION_END_TAG (BLOCK_USED | BLOCK_CACHED)

/* Before the heap's first memory. */
void hmm_region_start(struct HmmHeap *heap);

/* Memory that does not grow. EINVAL if too small, too large, or in another region; ENOMEM beyond HMM_REGIONS. */
int hmm_region_add_memory(struct HmmHeap *heap, void *memory, size_t size);

/* With one free block; NULL for the same reasons. Call hmm_region_start first. */
struct region *hmm_region_add(struct HmmHeap *heap, char *start, char *end);

/* Divides the region of a free block, which is in no list and within which the memory from `start` to `end` is gone.
 * What is left of it on each side becomes a free block, and has room for one. There are fewer than HMM_REGIONS regions.
 */
void hmm_region_divide(struct HmmHeap *heap, struct block *block, char *start, char *end);

/* Ends a region at `start`, within its last block, which is free and of no list: what is left of it has room for one.
 */
void hmm_region_cut(struct HmmHeap *heap, struct block *block, char *start);

/* By `size` bytes behind its end, which are the heap's now; returns the free block that they become part of. */
struct block *hmm_region_extend(struct HmmHeap *heap, struct region *region, size_t size);

void hmm_region_resized(struct HmmHeap *heap, size_t size);

void hmm_region_set_end(struct region *region, struct block *end);

/* Look-ups try this region first. */
void hmm_region_look(struct HmmHeap *heap, const struct region *region);

/* The region of an address, or NULL. At most log2(HMM_REGIONS) steps. */
const struct region *hmm_region_of(const struct HmmHeap *heap, const void *address);
