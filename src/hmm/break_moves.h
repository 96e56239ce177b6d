/* break_moves.h - how far the break rises and falls, and the region that grows with it: its end is the break. */
#pragma once

#include "heap_state.h"

#if HMM_BREAK

/* For further memory; what the heap has stays. */
void hmm_use_break(struct HmmHeap *heap, const struct program_break *brk);

/* Raises the break until the region's last block is a free one of at least `size` bytes, plus some extra so that the
 * break moves rarely. If it cannot rise, the heap continues in another region, if there is one. Returns the block, in
 * the free list; NULL if there is no more memory. */
struct block *hmm_alloc_extra(struct HmmHeap *heap, size_t size);

/* Lowers the break until `keep` bytes of a free last block are left. Returns by how much. */
size_t hmm_trim_break(struct HmmHeap *heap, size_t keep);

/* By how much more than needed the break is raised; a trimmed heap keeps as much. */
size_t hmm_break_extra(const struct HmmHeap *heap);

#else

#define hmm_alloc_extra(heap, size) ((void)(size), (struct block *)NULL)
#define hmm_trim_break(heap, keep) ((void)(keep), (size_t)0)
#define hmm_break_extra(heap) ((size_t)0)

#endif
