/*
 * free_list.h - the free blocks, and the changes between free and used: all in constant time.
 *
 * The list is kept in bins, all but one block: the one that small blocks are being cut from. It counts as in the list,
 * but has no links, so that to cut it is to write two headers and a footer. Whatever a block's neighbours and links say
 * is proved before anything is changed by it: what does not agree is a fault.
 */
#ifndef MEMS_HMM_FREE_LIST_H
#define MEMS_HMM_FREE_LIST_H

#include "block.h"

struct HmmHeap;

/*
 * A block of at least `size` bytes that is in the list, and stays there; NULL when there is none. It looks at the first
 * FREE_PROBES blocks of the size's own bin; then at larger bins; if these are empty, at FREE_PROBES_LAST more of its
 * own. One that fits may be missed when all that fit are behind these.
 */
#define FREE_PROBES (HMM_QUICK_BYTES > 0 ? 4u : 2u)
#define FREE_PROBES_LAST 8u
struct block *hmm_find_free_block(struct HmmHeap *heap, size_t size);

/*
 * A used block of `size` bytes, which are few, without a search: from the bin of just this size, or from the block
 * being cut. NULL when neither serves, or when that is the last block and there may be others to be used up first.
 */
struct block *hmm_cut_block(struct HmmHeap *heap, size_t size);

/* Small blocks are to be cut from this block of the list, and the first one, of `size` bytes, is: a block is left. */
struct block *hmm_cut_from(struct HmmHeap *heap, struct block *block, size_t size);

/* Puts the block being cut into its bin. */
void hmm_cut_end(struct HmmHeap *heap);

/* Makes `size` bytes at `block`, between two blocks that are not free, a free block in the list. */
void hmm_insert_free_block(struct HmmHeap *heap, struct block *block, size_t size);

/* Takes a free block out of the list. Its tags are as before. */
void hmm_remove_from_freelist(struct HmmHeap *heap, struct block *block);

/* Makes a used block a free one in the list, with the free blocks that touch it. Returns the whole. */
struct block *hmm_merge_blocks(struct HmmHeap *heap, struct block *block);

/*
 * Makes the `have` bytes at `block` a used block of `need` bytes and a free one of the rest; or of all where the rest
 * would be too small. `listed` is the free block that they end with, which leaves the list: the one behind a used
 * `block`, or `block` itself.
 */
void hmm_split_block(struct HmmHeap *heap, struct block *block, struct block *listed, size_t have, size_t need);

#if HMM_BREAK

/*
 * Gives the pages of large free blocks back to the system, the largest first, until that is `bytes` or more, or
 * PURGE_PROBES blocks have been looked at; but for the last block, which is the break's to give back. The blocks stay
 * what they are.
 */
void hmm_purge_freelist(struct HmmHeap *heap, size_t bytes);

/* The same for all whole pages in all free blocks. Returns their bytes. O(number of free blocks). */
size_t hmm_purge_all(struct HmmHeap *heap);

#else

static inline void hmm_purge_freelist(struct HmmHeap *heap, size_t bytes) {
    (void)heap, (void)bytes;
}

static inline size_t hmm_purge_all(struct HmmHeap *heap) {
    (void)heap;
    return 0;
}

#endif

/* The bytes of the largest free block, header included: of those of its bin that `probes` reach. */
size_t hmm_largest_free(const struct HmmHeap *heap, unsigned probes);

/* The free block that ends where `block` begins: its PREV_USED is clear. */
struct block *hmm_free_block_before(struct HmmHeap *heap, struct block *block);

/* Whether a free block's tag, links and neighbours in the list agree. */
bool hmm_free_block_sound(struct HmmHeap *heap, struct block *block);

/* The bin of blocks of `size` bytes; the first bin above it that is not empty, FREE_BINS: none. */
unsigned hmm_bin_of(size_t size);
unsigned hmm_bin_above(const struct HmmHeap *heap, unsigned bin);

#endif
