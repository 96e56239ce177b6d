/* quick_list.h - the shortest way from free to malloc: small freed blocks, unmerged, last in, first out. A list holds
 * blocks of one size; its length is bounded, and so is the time to empty all lists. A cached block splits the free
 * memory around it, so except for the first of each list, a block is cached only if the block before it is not free.
 * (Its own header tells; checking the block behind would cost a cache line and gain little.) */
#pragma once

#include "heap_state.h"
#include "hmm_report.h"

/* O(number of lists). */
struct quick_total {
    size_t blocks;
    size_t bytes; /* including headers */
};

#if HMM_QUICK_BYTES > 0

struct quick_total hmm_quick_total(const struct HmmHeap *heap);

/* Moves up to `most` blocks to the free list, merged; returns how many. */
size_t hmm_quick_flush(struct HmmHeap *heap, size_t most);

/* Empties all lists, leaving their blocks unchanged. */
void hmm_quick_forget(struct HmmHeap *heap);

/* `size` is exact, at most QUICK_SIZE_MAX; NULL if none is cached. */
ALWAYS_INLINE struct block *quick_pop(struct HmmHeap *heap, size_t size, const char *operation) {
    struct quick_list *list = &heap->quick[size / BLOCK_ALIGN];
    struct block *block = list->head;
    if (UNLIKELY(block == NULL)) {
        return NULL;
    }
    /* A user may have overwritten header and link, so they are proved before they are followed. */
    uintptr_t tag = size | BLOCK_CACHED | BLOCK_USED | (block->header & BLOCK_PREV_USED);
    struct block *link = block->link;
    struct block_key key = block_key(block);
    if (UNLIKELY(block->header != key_seal(block, key, tag) || block->check != block_check(block, link))) {
        hmm_report_cached_block(heap, operation, block);
    }
    list->head = link;
    list->waiting -= QUICK_ONE + (uint32_t)size;
    block->header = key_seal(block, key, tag ^ BLOCK_CACHED);
    return block;
}

/* Caches a sound, used block with this key; false if it is too large or better merged, or its list is full. */
ALWAYS_INLINE bool quick_push(struct HmmHeap *heap, struct block *block, struct block_key key) {
    size_t size = block_size(block);
    if (UNLIKELY(size > QUICK_SIZE_MAX)) {
        return false;
    }
    struct quick_list *list = &heap->quick[size / BLOCK_ALIGN];
    if (list->head != NULL &&
        (list->waiting % QUICK_ONE >= HMM_QUICK_BYTES || (block->header & BLOCK_PREV_USED) == 0)) {
        return false;
    }
    block->header = key_seal(block, key, block_tag(block) | BLOCK_CACHED);
    block->link = list->head;
    block->check = block_check(block, block->link);
    list->head = block;
    list->waiting += QUICK_ONE + (uint32_t)size;
    return true;
}

#else

#define hmm_quick_total(heap) ((struct quick_total){0})
#define hmm_quick_flush(heap, most) ((size_t)0)
#define hmm_quick_forget(heap) ((void)0)
#define quick_pop(heap, size, operation) ((void)(size), (void)(operation), (struct block *)NULL)
#define quick_push(heap, block, key) ((void)(block), (void)(key), false)

#endif
