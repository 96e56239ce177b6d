/*
 * quick_list.h - the shortest way from free to malloc: small freed blocks, unmerged, last in first out.
 *
 * A list holds blocks of one size. Its length is bounded, so that emptying all of them is, too. A block that waits here
 * divides the free memory around it. So beside the first of each list only those wait whose block before is not free.
 * (One look at the block's own header tells; one at the block behind would gain little, for one more cache line.)
 */
#ifndef MEMS_HMM_QUICK_LIST_H
#define MEMS_HMM_QUICK_LIST_H

#include "report.h"
#include "state.h"

/* What waits on all quick lists. O(number of lists). */
struct quick_total {
    size_t blocks;
    size_t bytes; /* headers included */
};
struct quick_total hmm_quick_total(const struct HmmHeap *heap);

/* Moves up to `most` cached blocks to the free list, merged. Returns how many there were. */
size_t hmm_quick_flush(struct HmmHeap *heap, size_t most);

/* Empties all lists. Their blocks stay as they are. */
void hmm_quick_forget(struct HmmHeap *heap);

#if HMM_QUICK_BYTES > 0

/* A used block of exactly `size` bytes, which is at most QUICK_SIZE_MAX; NULL when none is cached. */
ALWAYS_INLINE struct block *quick_pop(struct HmmHeap *heap, size_t size, const char *operation) {
    struct quick_list *list = &heap->quick[size / BLOCK_ALIGN];
    struct block *block = list->head;
    if (UNLIKELY(block == NULL)) {
        return NULL;
    }
    /* Header and link lay in memory that a user may have written to: nothing is followed unproved. */
    uintptr_t tag = size | BLOCK_CACHED | BLOCK_USED | (block->header & BLOCK_PREV_USED);
    struct block *link = block->link;
    if (UNLIKELY(block->header != block_seal(block, tag) || block->check != block_check(block, link))) {
        hmm_report_cached_block(heap, operation, block);
    }
    list->head = link;
    list->waiting -= QUICK_ONE + (uint32_t)size;
    block_set_tag(block, tag ^ BLOCK_CACHED);
    return block;
}

/* Takes a sound, used block; false when it is too large or its list is full, or when it is better merged. */
ALWAYS_INLINE bool quick_push(struct HmmHeap *heap, struct block *block) {
    size_t size = block_size(block);
    if (UNLIKELY(size > QUICK_SIZE_MAX)) {
        return false;
    }
    struct quick_list *list = &heap->quick[size / BLOCK_ALIGN];
    if (list->head != NULL &&
        (list->waiting % QUICK_ONE >= HMM_QUICK_BYTES || (block->header & BLOCK_PREV_USED) == 0)) {
        return false;
    }
    block_set_tag(block, block_tag(block) | BLOCK_CACHED);
    block->link = list->head;
    block->check = block_check(block, block->link);
    list->head = block;
    list->waiting += QUICK_ONE + (uint32_t)size;
    return true;
}

#else

static inline struct block *quick_pop(struct HmmHeap *heap, size_t size, const char *operation) {
    (void)heap, (void)size, (void)operation;
    return NULL;
}

static inline bool quick_push(struct HmmHeap *heap, struct block *block) {
    (void)heap, (void)block;
    return false;
}

#endif

#endif
