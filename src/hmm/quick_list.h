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

/* A used block of exactly `size` bytes, which is at most QUICK_SIZE_MAX; NULL when none is cached. */
ALWAYS_INLINE struct block *quick_pop(size_t size, const char *operation) {
    struct quick_list *list = &hmm_heap.quick[size / BLOCK_ALIGN];
    struct block *block = list->head;
    if (UNLIKELY(block == NULL)) {
        return NULL;
    }
    /* The link that led here lay in memory that a user may have written to: nothing is followed unproved. */
    if (UNLIKELY(!heap_spans(block_payload(block)))) {
        hmm_report_cached_block(operation, block);
    }
    uint64_t tag = size | BLOCK_CACHED | BLOCK_USED | (block->header & BLOCK_PREV_USED);
    if (UNLIKELY(block->header != block_seal(block, tag))) {
        hmm_report_cached_block(operation, block);
    }
    list->head = block->link;
    list->bytes = (uint16_t)(list->bytes - size);
    block_set_tag(block, tag ^ BLOCK_CACHED);
    return block;
}

/* Takes a sound, used block; false when it is too large or its list is full, or when it is better merged. */
ALWAYS_INLINE bool quick_push(struct block *block) {
    size_t size = block_size(block);
    if (UNLIKELY(size > QUICK_SIZE_MAX)) {
        return false;
    }
    struct quick_list *list = &hmm_heap.quick[size / BLOCK_ALIGN];
    if (list->head != NULL && (list->bytes >= QUICK_BYTES || (block->header & BLOCK_PREV_USED) == 0)) {
        return false;
    }
    block_set_tag(block, block_tag(block) | BLOCK_CACHED);
    block->link = list->head;
    list->head = block;
    list->bytes = (uint16_t)(list->bytes + size);
    return true;
}

/* Moves all cached blocks to the free list, merged. False: there were none. About 1000 at most, most of them small. */
bool hmm_quick_flush(void);

#endif
