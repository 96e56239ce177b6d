#include "quick_list.h"

#include "free_list.h"

bool hmm_quick_flush(void) {
    bool any = false;
    for (size_t size = BLOCK_MIN; size <= QUICK_SIZE_MAX; size += BLOCK_ALIGN) {
        struct block *block;
        while ((block = quick_pop(size, hmm_heap.operation)) != NULL) {
            hmm_merge_blocks(block);
            any = true;
        }
    }
    return any;
}
