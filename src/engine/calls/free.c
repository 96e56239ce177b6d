/* free.c - free beyond the fast path. */
#include <errno.h>
#include <stdint.h>

#include "engine/engine.h"
#include "engine/memory/large.h"
#include "engine/memory/zeros.h"
#include "engine/modes/sampled_block.h"
#include "engine/upkeep/decay.h"
#include "fast_path.h"
#include "free_block.h"
#include "harden_free.h"
#include "supply.h"

/* A thread without a heap has no counters and no beats. After this many frees it gets a heap or, if it cannot, does
 * upkeep. Fewer make none: at a thread's very end, a new heap could not be given back. */
#define HEAPLESS_FREES 256u
static TLS unsigned heapless_frees;

static NOINLINE bool cache_large(struct heap *heap, struct large *large) {
    lock_take(&heap->lock);
    const bool kept = large_cache_put(&heap->larges, large);
    lock_give(&heap->lock);
    return kept;
}

ALWAYS_INLINE bool cache_plain(struct heap *heap, struct large *large) {
    return LIKELY(heap != &heap_none && large_is_plain(large) && large_cache_wants(&heap->larges, large->span.units)) &&
           (large_cache_put_ready(&heap->larges, large) || cache_large(heap, large));
}

/* Caches a large block whose life has ended and that is not plain, or frees its span. */
static void end_unlike_others(struct heap *heap, struct large *large) {
    bool kept = false;
    if (UNLIKELY(large->arena != 0)) {
        heap_let_go(large);
    }
    if (large->watched) {
        zeros_learn(window_address(large->span.first), large_size(large), heap_watches(heap));
    }
    if (heap != &heap_none) {
        kept = !large_advised(large) && large_cache_wants_block(&heap->larges, large) && cache_large(heap, large);
    }
    if (!kept) {
        large_cache_refuse(&heap->larges, large);
    }
    if (heap == &heap_none) {
        upkeep_decay();
    } else {
        upkeep(heap);
    }
}

/* For a block that cache_plain refused. A sample ends as the block would end without it, and upkeep is the same. */
static COLD void end_large(struct heap *heap, struct large *large) {
    const int saved = errno;
    const bool sampled = large->sample != NULL;
    const bool usable = sampled_block_end_large(heap, large);
    if (usable && !(sampled && cache_plain(heap, large))) {
        end_unlike_others(heap, large);
    } else if (usable && upkeep_count(heap)) {
        upkeep_counted(heap);
    }
    errno = saved;
}

static COLD void keep_up(struct heap *heap) {
    const int saved = errno;
    upkeep_counted(heap);
    fault_if_suspect();
    errno = saved;
}

/* False if no live large block starts there. */
ALWAYS_INLINE bool free_large(void *block) {
    struct large *large = large_end(block);
    if (UNLIKELY(large == NULL)) {
        return false;
    }
    struct heap *heap = heap_mine;
    heap_count_large(heap, -(uint64_t)large_size(large));
    if (UNLIKELY(!cache_plain(heap, large))) {
        end_large(heap, large);
    } else if (UNLIKELY(upkeep_count(heap))) {
        keep_up(heap);
    }
    return true;
}

/* For units that are in no heap's slab; for a thread without a heap, in any slab. False: not live. */
static bool free_by_entry(void *block, uint32_t entry) {
    if (entry_is_slab(entry)) {
        return free_in_slab(block, entry);
    }
    if (entry == UNIT_SAMPLES) {
        return sampled_block_free(heap_mine, block);
    }
    return entry_is_used(entry) ? entry == UNIT_LARGE && free_large(block) : free_huge(block);
}

/* The unit is in no heap's slab: an abandoned slab, a large block, or none. */
static NOINLINE void free_heapless(void *block, uint32_t entry) {
    int saved = errno;
    if (entry_is_slab(entry) && free_adopt(block, entry_class(entry))) {
        fast_free("free", block);
    } else if (!free_by_entry(block, entry)) {
        fault_report("free", block);
    }
    if (entry_is_slab(entry)) {
        free_count_foreign(heap_mine, entry_class(entry));
    }
    fault_if_suspect();
    errno = saved;
}

static COLD void free_outside_plain(void *block) {
    int saved = errno;
    if (window_granule(block) >= window_granules()) {
        if (page_map_holds(block) || !free_huge(block)) {
            fault_report("free", block);
        }
        errno = saved;
        return;
    }
    struct heap *heap = heap_mine;
    uint32_t entry = page_map_load(window_unit(block));
    if (heap != &heap_none) {
        /* The heap's copy of window.granules was stale. */
        heap_catch_up(heap);
        fast_free("free", block);
    } else if (!free_by_entry(block, entry)) {
        fault_report("free", block);
    } else if (++heapless_frees % HEAPLESS_FREES == 0 && heap_ensured() == NULL) {
        upkeep_of_others();
    }
    fault_if_suspect();
    errno = saved;
}

NOINLINE void free_foreign(void *block, struct heap *heap, size_t differing) {
    const uint32_t entry = (uint32_t)differing ^ heap->tag;
    if (LIKELY(entry_is_slab(entry) && entry_heap(entry) != HEAP_ABANDONED)) {
        free_remotely(block, entry_class(entry));
    } else if (entry != UNIT_LARGE || UNLIKELY(!free_large(block))) {
        free_heapless(block, entry);
    }
}

static NOINLINE void free_outside(void *block, const char *operation) {
    if (UNLIKELY(heaps.harden != HARDEN_OFF)) {
        harden_free_outside(block, operation);
    } else if (block != NULL) {
        free_outside_plain(block);
    }
}

/* In the hardened modes this is free's usual path. It calls others only as the last thing, so it needs no frame. */
NOINLINE void free_elsewhere(void *block, struct heap *heap, uint64_t granule, const char *operation) {
    if (granule < heap->granules[HARDEN_LIGHT]) {
        harden_free_light(block, heap, granule, operation);
    } else if (granule < heap->granules[HARDEN_FULL]) {
        harden_free_full(block, heap, granule, operation);
    } else {
        free_outside(block, operation);
    }
}

void engine_free(void *block) {
    fast_free("free", block);
}

void engine_free_as(const char *operation, void *block) {
    fast_free(operation, block);
}
