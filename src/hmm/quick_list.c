#include "quick_list.h"

#include "free_list.h"

#if HMM_QUICK_BYTES > 0

struct quick_total hmm_quick_total(const struct HmmHeap *heap) {
    struct quick_total total = {0};
    for (size_t i = BLOCK_MIN / BLOCK_ALIGN; i < QUICK_LISTS; i++) {
        total.bytes += heap->quick[i].waiting % QUICK_ONE;
        total.blocks += heap->quick[i].waiting / QUICK_ONE;
    }
    return total;
}

/* The lists take turns, so no single size pays for all others. */
size_t hmm_quick_flush(struct HmmHeap *heap, size_t most) {
    size_t done = 0;
    unsigned empty = 0; /* lists one after the other */
    while (done < most && empty < QUICK_LISTS) {
        struct block *block = quick_pop(heap, heap->flushed * BLOCK_ALIGN, heap->operation);
        if (block != NULL) {
            hmm_merge_blocks(heap, block, block_key(block));
            done++;
            empty = 0;
        } else {
            heap->flushed = heap->flushed > 0 ? heap->flushed - 1 : QUICK_LISTS - 1;
            empty++;
        }
    }
    return done;
}

void hmm_quick_forget(struct HmmHeap *heap) {
    __builtin_memset(heap->quick, 0, sizeof heap->quick);
}

#endif
