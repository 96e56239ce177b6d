#include "purge.h"

#include "free_list.h"
#include "heap_state.h"

#if HMM_BREAK && __STDC_HOSTED__

/* How many blocks a search for pages to purge looks at, and their minimum size. */
#define PURGE_PROBES 16
#define PURGE_BYTES ((size_t)64 << 10)

/* Purges the pages between the links and the footer of a proved free block; returns their bytes. */
static size_t purge_block(struct HmmHeap *heap, struct block *block) {
    struct program_break *brk = &heap->brk;
    struct block *next = block_next(block);
    char *start = (char *)block;
    size_t skip = round_up((uintptr_t)(start + sizeof *block), brk->grain) - (uintptr_t)start;
    size_t end = round_down((uintptr_t)block_footer_before(next), brk->grain) - (uintptr_t)start;
    return skip < end && brk->purge(brk, start + skip, end - skip) ? end - skip : 0;
}

void hmm_purge_freelist(struct HmmHeap *heap, size_t bytes) {
    size_t done = 0;
    unsigned probes = 0;
    if (heap->brk.purge == NULL) {
        return;
    }
    hmm_cut_end(heap); /* the block being cut may be the largest */
    unsigned least = bin_of(PURGE_BYTES);
    for (unsigned bin = FREE_BINS; bin-- > least;) {
        struct block *block = heap->free_list.heads[bin];
        for (; block != NULL && block != heap_list_end(heap) && probes < PURGE_PROBES && done < bytes; probes++) {
            hmm_prove_free_block(heap, block);
            done += block_next(block) != heap->end ? purge_block(heap, block) : 0;
            block = block->next;
        }
    }
}

size_t hmm_purge_all(struct HmmHeap *heap) {
    size_t done = 0;
    if (heap->brk.purge == NULL || heap->purged) {
        return 0;
    }
    heap->purged = true;
    hmm_cut_end(heap);
    for (unsigned bin = bin_of(heap->brk.grain); bin < FREE_BINS; bin++) {
        struct block *block = heap->free_list.heads[bin];
        for (; block != NULL && block != heap_list_end(heap); block = block->next) {
            hmm_prove_free_block(heap, block);
            done += purge_block(heap, block);
        }
    }
    return done;
}

#endif
