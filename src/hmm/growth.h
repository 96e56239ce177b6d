/*
 * growth.h - the region that grows: its end is the program break, which is raised and lowered.
 */
#ifndef MEMS_HMM_GROWTH_H
#define MEMS_HMM_GROWTH_H

#include "state.h"

#if HMM_BREAK

/* Memory comes from this break from then on; what there is already stays where it is. */
void hmm_heap_use_break(struct HmmHeap *heap, const struct program_break *brk);

/*
 * Raises the break until the last block of the region that grows is a free one of at least `size` bytes, and somewhat
 * further, so that it moves rarely. Where it cannot rise the heap goes on in a further region, if the system gives one.
 * Returns the block, which is in the free list; NULL when there is no more memory.
 */
struct block *hmm_alloc_extra(struct HmmHeap *heap, size_t size);

/* Lowers the break until `keep` bytes are left of the last block, if that is free. Returns by how many bytes. */
size_t hmm_trim_break(struct HmmHeap *heap, size_t keep);

/* By how much more than is needed the break is raised: also what a trimmed heap keeps. */
size_t hmm_growth_extra(const struct HmmHeap *heap);

#else

static inline struct block *hmm_alloc_extra(struct HmmHeap *heap, size_t size) {
    (void)heap, (void)size;
    return NULL;
}

static inline size_t hmm_trim_break(struct HmmHeap *heap, size_t keep) {
    (void)heap, (void)keep;
    return 0;
}

static inline size_t hmm_growth_extra(const struct HmmHeap *heap) {
    (void)heap;
    return 0;
}

#endif

#endif
