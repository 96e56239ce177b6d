/*
 * heap.h - a heap, as the rest of the library sees it: what HmmAlloc and its kin of hmm.h, and malloc and its kin of
 * libhmm.so, both stand on.
 *
 * `operation` is the name of the function that the user called, for the fault report; what an allocation finds damaged
 * is reported as found by "alloc". Every function may be called from any thread; errno is unchanged unless said
 * otherwise. Sizes above PTRDIFF_MAX, and sums that overflow, fail.
 */
#ifndef MEMS_HMM_HEAP_H
#define MEMS_HMM_HEAP_H

#include <stdbool.h>
#include <stddef.h>

#include "hmm.h"

/* The heap of malloc, and of the functions of hmm.h that name none. */
extern struct HmmHeap hmm_heap __attribute__((visibility("hidden")));

/* A block of at least `size` bytes (0 is a size like any other), aligned to two words. NULL with errno ENOMEM. */
void *hmm_alloc(struct HmmHeap *heap, size_t size);

/* The same, all zero, for count * size bytes. */
void *hmm_alloc_zeroed(struct HmmHeap *heap, size_t count, size_t size);

/* The same, aligned to `alignment`, a power of two. */
void *hmm_alloc_aligned(struct HmmHeap *heap, size_t alignment, size_t size);

/* NULL is nothing. A pointer that is no live block, or whose header or that of a neighbour is damaged, is a fault. */
void hmm_free(struct HmmHeap *heap, const char *operation, void *block);

/* As hmm_free; where the size, or the alignment (0: not given), cannot be that of this block, it is a fault. */
void hmm_free_sized(struct HmmHeap *heap, const char *operation, void *block, size_t size, size_t alignment);

/* The block with another size, in place or elsewhere; NULL block: hmm_alloc. On failure NULL with errno ENOMEM, and the
 * block is as it was. Size 0 gives a block of size 0. */
void *hmm_realloc(struct HmmHeap *heap, const char *operation, void *block, size_t size);

/* The bytes that the user may write; 0 for NULL. */
size_t hmm_usable_size(struct HmmHeap *heap, const char *operation, void *block);

/* Lowers the break as far as it goes but for `pad` bytes, whatever the hysteresis, and gives back all whole pages
 * inside free blocks; returns how many bytes. */
size_t hmm_trim(struct HmmHeap *heap, size_t pad);

/* Fills in all of *stats. */
void hmm_stats(struct HmmHeap *heap, struct HmmStats *stats);

/* Free blocks and cached ones by powers of two: row i has those of 2^i grains or more, headers included. */
struct hmm_row {
    size_t blocks;
    size_t bytes;
};
#define HMM_ROWS 40
void hmm_rows(struct HmmHeap *heap, struct hmm_row rows[HMM_ROWS]);

/* Bytes of the last block of the region that grows, if it is free: what HmmTrim could lower the break by. */
size_t hmm_last_free(struct HmmHeap *heap);

/* True when every invariant of the heap holds; otherwise *why names the first that does not. O(number of blocks). */
bool hmm_valid(struct HmmHeap *heap, const char **why);

/* One option of HMM_OPTIONS, which is read when the library starts, or before the heap's first use: 0, EINVAL for an
 * unknown name or a bad value, EBUSY for one that shapes a heap in use. */
int hmm_option_set(const char *name, const char *value);
int hmm_option_get(const char *name, char *value, size_t size);

#endif
