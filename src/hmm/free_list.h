/* free_list.h - the free blocks, and all changes between free and used, each in constant time. Free blocks are in bins,
 * except the one that small blocks are being cut from: it has no links, so a cut writes only two headers and a footer.
 * Neighbours and links are proved before anything changes because of them; a contradiction is a fault. */
#pragma once

#include "block.h"

struct HmmHeap;

/* At least `size` bytes; stays in the list; NULL: none. Looks at the first FREE_PROBES blocks of the bin for this size,
 * then at larger bins, then at the next FREE_PROBES_LAST of the first bin, so it may miss a block that fits. */
#define FREE_PROBES (HMM_QUICK_BYTES > 0 ? 4u : 2u)
#define FREE_PROBES_LAST 8u
struct block *hmm_find_free_block(struct HmmHeap *heap, size_t size);

/* Without a search: from the bin of exactly this size, or from the block being cut. NULL if neither serves, or if the
 * latter is the last block and others should be used up first. */
struct block *hmm_cut_block(struct HmmHeap *heap, size_t size);

/* From now on cuts from this listed block, which must be larger than `size`. */
struct block *hmm_cut_from(struct HmmHeap *heap, struct block *block, size_t size);

/* Puts the block being cut into its bin. */
void hmm_cut_end(struct HmmHeap *heap);

/* Makes `size` bytes between two blocks that are not free a free block of the list. */
void hmm_insert_free_block(struct HmmHeap *heap, struct block *block, size_t size);

/* Its tags are unchanged. */
void hmm_remove_from_freelist(struct HmmHeap *heap, struct block *block);

/* Frees a used block with this key; returns the result, merged with adjacent free blocks and listed. */
struct block *hmm_merge_blocks(struct HmmHeap *heap, struct block *block, struct block_key key);

/* Makes a listed block a used one of `need` bytes, which it returns, and a free one of the rest, unless that is too
 * small. */
struct block *hmm_split_block(struct HmmHeap *heap, struct block *block, size_t need);

/* Ends where `block` begins. PREV_USED of `block` must be clear. */
struct block *hmm_free_block_before(struct HmmHeap *heap, struct block *block);

/* Whether a free block's tag, links and neighbours in the list agree. */
bool hmm_free_block_sound(struct HmmHeap *heap, struct block *block);

/* Reports a fault unless they do. */
void hmm_prove_free_block(struct HmmHeap *heap, struct block *block);
