/* inspect.c - the walk over a heap's blocks, and its statistics. */
#include "free_list.h"
#include "heap_state.h"
#include "hmm_alloc.h"
#include "hmm_report.h"
#include "quick_list.h"

/* Blocks to search for the largest; those of a bin differ by at most 1/16. */
#define LARGEST_PROBES 64u

static enum HmmState state_of(const struct block *block) {
    if ((block->header & BLOCK_USED) == 0) {
        return HMM_FREE;
    }
    return (block->header & BLOCK_CACHED) != 0 ? HMM_CACHED : HMM_USED;
}

static int walk_locked(struct HmmHeap *heap, int (*visit)(const struct HmmBlock *, void *), void *context) {
    for (unsigned i = 0; i < heap->region_count; i++) {
        const struct region *region = &heap->regions[i];
        struct block *next;
        for (struct block *block = region->first; block != region->end; block = next) {
            next = block_next(block);
            if (UNLIKELY(!block_sound(block) || next <= block || next > region->end)) {
                hmm_report_pointer(heap, "walk", block_payload(block), "damaged header");
            }
            struct HmmBlock seen = {.ptr = block_payload(block), .size = block_room(block), .state = state_of(block)};
#ifdef HMM_TAGS
            seen.site = seen.state == HMM_USED ? *block_site(block) : NULL;
#endif
            int result = visit(&seen, context);
            if (result != 0) {
                return result;
            }
        }
    }
    return 0;
}

/* Locks even in a process with one thread, because the visit may create another. */
int hmm_walk(struct HmmHeap *heap, int (*visit)(const struct HmmBlock *block, void *context), void *context) {
    if (visit == NULL) {
        system_set_errno(EINVAL);
        return -1;
    }
    hmm_heap_lock(heap, "HmmWalk");
    heap->operation = "HmmWalk";
    hmm_heap_set_walker(heap, system_thread());
    int result = walk_locked(heap, visit, context);
    hmm_heap_set_walker(heap, 0);
    hmm_heap_unlock(heap);
    return result;
}

/* The size of the block being cut, or 0. */
static size_t cut_size(struct HmmHeap *heap) {
    if (heap->cut == NULL) {
        return 0;
    }
    hmm_prove_free_block(heap, heap->cut);
    return block_size(heap->cut);
}

/* Among the first of the highest bin. */
static size_t largest_free(struct HmmHeap *heap) {
    const struct free_list *list = &heap->free_list;
    size_t largest = cut_size(heap);
    if (list->levels == 0) {
        return largest;
    }
    unsigned level = word_log2(list->levels);
    struct block *block = list->heads[level * FREE_STEPS + word_log2(list->steps[level])];
    for (unsigned probes = LARGEST_PROBES; probes > 0 && block != heap_list_end(heap); probes--, block = block->next) {
        hmm_prove_free_block(heap, block);
        largest = block_size(block) > largest ? block_size(block) : largest;
    }
    return largest;
}

/* Reads counters, so the lock is held for a constant time. */
void hmm_stats(struct HmmHeap *heap, struct HmmStats *stats) {
    if (stats == NULL) {
        return;
    }
    bool locked = heap_enter(heap, "stats");
    const size_t overhead = BLOCK_HEADER + BLOCK_SITE; /* of a block */
    struct quick_total cached = hmm_quick_total(heap);
    size_t used_blocks = heap->blocks - heap->free_blocks - cached.blocks;
    size_t largest = largest_free(heap);
    const struct program_break *brk = &heap->brk;
    size_t all = heap->room + (size_t)(brk->end - brk->now); /* less than `most` if the heap was trimmed */
    *stats = (struct HmmStats){
        .region = heap->size,
        .peak = heap->peak,
        .used = heap->room - heap->free_bytes - cached.bytes - used_blocks * overhead,
        .cached = cached.bytes - cached.blocks * overhead,
        .free = heap->free_bytes - heap->free_blocks * overhead,
        .overhead = heap->size - heap->room + heap->blocks * overhead,
        .used_blocks = used_blocks,
        .cached_blocks = cached.blocks,
        .free_blocks = heap->free_blocks,
        .largest_free = largest > 0 ? largest - overhead : 0,
        .most = heap->most,
        .least_free = all > heap->most ? all - heap->most : 0,
        .regions = heap->region_count,
        .break_moves = heap->break_moves,
        .failures = heap->failures,
    };
    heap_leave(heap, locked);
}

#if __STDC_HOSTED__

static void add_row(struct hmm_row *rows, size_t size, size_t blocks, size_t bytes) {
    struct hmm_row *row = &rows[word_log2(size / BLOCK_ALIGN)];
    row->blocks += blocks;
    row->bytes += bytes;
}

void hmm_rows(struct HmmHeap *heap, struct hmm_row rows[HMM_ROWS]) {
    bool locked = heap_enter(heap, "stats");
    __builtin_memcpy(rows, heap->free_list.rows, sizeof heap->free_list.rows);
    size_t cut = cut_size(heap);
    if (cut > 0) {
        add_row(rows, cut, 1, cut);
    }
#if HMM_QUICK_BYTES > 0
    for (size_t i = 1; i < QUICK_LISTS; i++) {
        uint32_t waiting = heap->quick[i].waiting;
        add_row(rows, i * BLOCK_ALIGN, waiting / QUICK_ONE, waiting % QUICK_ONE);
    }
#endif
    heap_leave(heap, locked);
}

size_t hmm_last_free(struct HmmHeap *heap) {
    bool locked = heap_enter(heap, "stats");
    struct block *end = heap->end;
    bool free = end != NULL && (end->header & BLOCK_PREV_USED) == 0;
    size_t bytes = free ? block_size(hmm_free_block_before(heap, end)) : 0;
    heap_leave(heap, locked);
    return bytes;
}

#endif
