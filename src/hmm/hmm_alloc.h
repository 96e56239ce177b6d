/* hmm_alloc.h - the heap's interface to hmm.h and to libhmm.so's malloc family. `operation` is the user's call, for
 * fault reports; an allocation reports damage as found by "alloc". Callable from any thread; errno changes only as
 * stated; too large sizes and sums fail. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "hmm.h"

/* Of malloc, and of the functions of hmm.h that name no heap. */
extern struct HmmHeap hmm_heap __attribute__((visibility("hidden")));

/* At least `size` bytes (also 0), aligned to two words; NULL with errno ENOMEM. */
void *hmm_alloc(struct HmmHeap *heap, size_t size);

/* count * size bytes, all zero. */
void *hmm_alloc_zeroed(struct HmmHeap *heap, size_t count, size_t size);

/* `alignment` is a power of two. */
void *hmm_alloc_aligned(struct HmmHeap *heap, size_t alignment, size_t size);

/* NULL is ignored. A fault if it is not a live block, or if its or a neighbour's header is damaged. */
void hmm_free(struct HmmHeap *heap, const char *operation, void *block);

/* Also a fault if the size, or the alignment (0: not given), cannot be this block's. */
void hmm_free_sized(struct HmmHeap *heap, const char *operation, void *block, size_t size, size_t alignment);

/* NULL is allocated, also with size 0. On failure NULL with errno ENOMEM, and the block is unchanged. */
void *hmm_realloc(struct HmmHeap *heap, const char *operation, void *block, size_t size);

/* Writable bytes; 0 for NULL. */
size_t hmm_usable_size(struct HmmHeap *heap, const char *operation, void *block);

/* Lowers the break at once, but for `pad` bytes, and purges all whole pages in free blocks. Returns the bytes. */
size_t hmm_trim(struct HmmHeap *heap, size_t pad);

/* HmmWalk and HmmPrintFreelist for a heap. */
int hmm_walk(struct HmmHeap *heap, int (*visit)(const struct HmmBlock *block, void *context), void *context);
#if __STDC_HOSTED__
void hmm_print_freelist(struct HmmHeap *heap, FILE *stream);
#endif

/* Fills in all of *stats. */
void hmm_stats(struct HmmHeap *heap, struct HmmStats *stats);

/* Free and cached blocks: row i holds those of at least 2^i grains, headers included. */
struct hmm_row {
    size_t blocks;
    size_t bytes;
};
#define HMM_ROWS 40
void hmm_rows(struct HmmHeap *heap, struct hmm_row rows[HMM_ROWS]);

/* The last block of the region that grows, if free: what HmmTrim could lower the break by. */
size_t hmm_last_free(struct HmmHeap *heap);

/* HMM_OPTIONS is read when the library starts, or before the heap's first use. 0; EINVAL for an unknown name or a bad
 * value; EBUSY for an option that shapes a heap in use. */
int hmm_option_set(const char *name, const char *value);
int hmm_option_get(const char *name, char *value, size_t size);
