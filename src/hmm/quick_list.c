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

void quick_fill(struct block *block, size_t size, size_t count) {
    struct quick_list *list = &hmm_heap.quick[size / BLOCK_ALIGN];
    for (size_t i = count - 1; i > 0; i--) {
        struct block *piece = block_after(block, i * size);
        block_set_tag(piece, size | BLOCK_CACHED | BLOCK_USED | BLOCK_PREV_USED);
        piece->link = list->head;
        list->head = piece;
    }
    list->bytes = (uint16_t)(list->bytes + (count - 1) * size);
    block_set_tag(block, size | (block_tag(block) & BLOCK_STATE));
}
