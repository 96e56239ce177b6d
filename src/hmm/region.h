/* region.h - the pieces of contiguous memory that make up a heap. */
#pragma once

#include "heap_state.h"

/* The most that a region has beyond its blocks: the alignment of both ends, and its end. */
#define REGION_OVERHEAD (2 * BLOCK_ALIGN + BLOCK_HEADER)

/* The header at a region's end: no block has its size, 0, and as a cached block nobody may free it. */
#define REGION_END_TAG (BLOCK_USED | BLOCK_CACHED)

/* Prepares the heap for its first memory. */
void hmm_region_start(struct HmmHeap *heap);

/* Adds memory that does not grow. EINVAL if too small, too large, or in another region; ENOMEM beyond HMM_REGIONS. */
int hmm_region_add_memory(struct HmmHeap *heap, void *memory, size_t size);

/* Makes start..end a region with one free block, or NULL for the same reasons. Call hmm_region_start first. */
struct region *hmm_region_add(struct HmmHeap *heap, char *start, char *end);

void hmm_region_resized(struct HmmHeap *heap, size_t size);

void hmm_region_set_end(struct region *region, struct block *end);

/* Makes look-ups try this region first. */
void hmm_region_look(struct HmmHeap *heap, const struct region *region);

/* The region that holds an address, or NULL. At most log2(HMM_REGIONS) steps. */
const struct region *hmm_region_of(const struct HmmHeap *heap, const void *address);
