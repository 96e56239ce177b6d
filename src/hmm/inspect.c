/*
 * inspect.c - what there is in the heap: the walk over its blocks, and the figures.
 */
#include "heap.h"
#include "region.h"
#include "report.h"
#include "state.h"

static enum HmmState state_of(const struct block *block) {
    if ((block->header & BLOCK_USED) == 0) {
        return HMM_FREE;
    }
    return (block->header & BLOCK_CACHED) != 0 ? HMM_CACHED : HMM_USED;
}

static int walk(int (*visit)(const struct HmmBlock *, void *), void *context) {
    for (struct region *region = hmm_heap.first; region != NULL; region = region->next) {
        struct block *next;
        for (struct block *block = hmm_region_first(region); block != region->end; block = next) {
            next = block_next(block);
            if (UNLIKELY(!block_sound(block) || next <= block || next > region->end)) {
                hmm_report_pointer("walk", block_payload(block), "damaged header");
            }
            struct HmmBlock seen = {.ptr = block_payload(block), .size = block_room(block), .state = state_of(block)};
            int result = visit(&seen, context);
            if (result != 0) {
                return result;
            }
        }
    }
    return 0;
}

/* The lock is held even if there is one thread only: the visit may make another. */
EXPORT int HmmWalk(int (*visit)(const struct HmmBlock *block, void *context), void *context) {
    hmm_heap_lock("HmmWalk");
    hmm_heap.operation = "HmmWalk";
    atomic_store_explicit(&hmm_heap.walker, system_thread(), memory_order_relaxed);
    int result = walk(visit, context);
    atomic_store_explicit(&hmm_heap.walker, 0, memory_order_relaxed);
    hmm_system_unlock();
    return result;
}

static int count(const struct HmmBlock *block, void *context) {
    struct HmmStats *stats = context;
    switch (block->state) {
    case HMM_USED:
        stats->used += block->size;
        stats->used_blocks++;
        break;
    case HMM_CACHED:
        stats->cached += block->size;
        stats->cached_blocks++;
        break;
    case HMM_FREE:
        stats->free += block->size;
        stats->free_blocks++;
        stats->largest_free = block->size > stats->largest_free ? block->size : stats->largest_free;
        break;
    }
    return 0;
}

void hmm_stats(struct HmmStats *stats) {
    bool locked = heap_enter("stats");
    *stats = (struct HmmStats){
        .region = hmm_heap.size,
        .peak = hmm_heap.peak,
        .break_moves = hmm_heap.break_moves,
        .failures = hmm_heap.failures,
    };
    for (const struct region *region = hmm_heap.first; region != NULL; region = region->next) {
        stats->regions++;
    }
    (void)walk(count, stats);
    stats->overhead = stats->region - stats->used - stats->cached - stats->free;
    heap_leave(locked);
}
