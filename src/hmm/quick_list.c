#include "quick_list.h"

#include "free_list.h"

bool quick_flush(void) {
    bool any = false;
    for (size_t size = BLOCK_MIN; size <= QUICK_SIZE_MAX; size += BLOCK_ALIGN) {
        struct block *block;
        while ((block = quick_pop(size, hmm_heap.operation)) != NULL) {
            merge_blocks(block);
            any = true;
        }
    }
    return any;
}
