#include "supply_big.h"

#include "engine/engine.h"
#include "engine/memory/huge.h"
#include "engine/memory/large.h"
#include "engine/reports/heap_limit.h"
#include "engine/upkeep/before_growth.h"
#include "engine/upkeep/decay.h"
#include "engine/upkeep/trim.h"
#include "fast_path.h"
#include "supply.h"

/* A dirty span that fits well; any, once the heaps have flushed cached blocks; if there is none, memory grows. */
static void *take_large(struct heap *heap, size_t size, size_t alignment, bool *zero) {
    const size_t good = 2 * large_units(size);
    *zero = false;
    large_cache_note_missed(large_units(size));
    void *block = large_alloc_dirty(size, alignment, good);
    if (block == NULL) {
        upkeep_flush_larges(heap, large_units(size), good, 0);
        block = large_alloc_dirty(size, alignment, SIZE_MAX);
    }
    return block != NULL ? block : large_alloc(size, alignment, zero);
}

/* A large block in mapped free units, or a huge one; NULL if that is not what saves locked memory. */
static void *take_exact(size_t size, size_t alignment, bool *zero) {
    if (LIKELY(!huge_saves_locked(size)) || atomic_load_explicit(&mems_root.no_mapping, memory_order_relaxed)) {
        return NULL;
    }
    *zero = false;
    void *block = large_alloc_dirty(size, alignment, 2 * large_units(size));
    if (block == NULL) {
        block = huge_alloc(size, alignment);
        *zero = true;
    }
    return block;
}

/* Huge from HUGE_MIN on, unless mappings are switched off, and if the window is full; large if mapping fails. */
static void *take_big(struct heap *heap, size_t size, size_t alignment, bool *zero) {
    bool small_enough =
        (size < HUGE_MIN && alignment < HUGE_MIN) || atomic_load_explicit(&mems_root.no_mapping, memory_order_relaxed);
    void *block = small_enough ? take_exact(size, alignment, zero) : NULL;
    if (block == NULL && small_enough) {
        block = take_large(heap, size, alignment, zero);
    }
    if (block == NULL) {
        block = huge_alloc(size, alignment);
        *zero = true;
    }
    if (block == NULL && !small_enough) {
        block = engine_confine_if_refused() ? huge_alloc(size, alignment) : large_alloc(size, alignment, zero);
    }
    return block;
}

void engine_set_mapping(bool maps) {
    atomic_store_explicit(&mems_root.no_mapping, !maps, memory_order_relaxed);
}

static void *take_or_reclaim(supply_function *take, struct heap *heap, size_t size, size_t alignment, bool *zero) {
    void *block = take(heap, size, alignment, zero);
    if (block == NULL) {
        upkeep_reclaim_all(heap);
        block = take(heap, size, alignment, zero);
    }
    return block;
}

/* Finishes a block outside the slabs; `heap` may be NULL. */
static void *finish(struct heap *heap, void *block, size_t size, size_t alignment) {
    const uint64_t interval = heap != NULL ? supply_keep_up(heap, size) : 0;
    fault_if_suspect();
    heap_limit_attend(heap);
    if (block == NULL) {
        return out_of_memory();
    }
    if (page_map_holds(block)) {
        heap_count_large(heap_mine, large_size(large_of(block)));
    }
    return LIKELY(interval == 0) ? block : supply_sampled(block, size, alignment, interval);
}

/* Without a heap there are no beats. */
ALWAYS_INLINE void *supply_by(supply_function *take, struct heap *heap, size_t size, size_t alignment, bool *zero) {
    if (heap == NULL) {
        upkeep_decay();
    }
    return finish(heap, take_or_reclaim(take, heap, size, alignment, zero), size, alignment);
}

void *supply_large(struct heap *heap, size_t size, size_t alignment, bool *zero) {
    return supply_by(take_large, heap, size, alignment, zero);
}

void *supply_big(struct heap *heap, size_t size, size_t alignment, bool *zero) {
    return supply_by(take_big, heap, size, alignment, zero);
}

void *supply_grown(struct heap *heap, size_t size, size_t ample, bool purge, bool *fresh) {
    void *block = take_or_reclaim(take_large, heap, ample, 1, fresh);
    if (block != NULL && ample > size) {
        large_keep_headroom(block, size, purge && !*fresh);
    }
    return finish(heap, block, size, 1);
}
