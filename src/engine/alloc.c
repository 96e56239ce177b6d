/*
 * alloc.c - the ways of malloc, calloc and aligned_alloc beyond the fast path.
 */
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "abandoned.h"
#include "engine.h"
#include "fast_path.h"
#include "front.h"
#include "huge.h"
#include "large.h"
#include "limit.h"
#include "transfer.h"
#include "upkeep.h"
#include "zeros.h"

void *out_of_memory(void) {
    atomic_fetch_add_explicit(&mems_root.failures, 1, memory_order_relaxed);
    errno = ENOMEM;
    return NULL;
}

/* A heap's slabs grow at the expense of its cached large blocks if these have this part of its slabs' bytes, or more:
 * slabs are filled slowly, large blocks at once, so few dirty spans are better left to these. */
#define SLABS_PER_LARGES 8u

/* The end of a slow path. */
static void count_and_keep_up(struct heap *heap, size_t size) {
    upkeep(heap);
    if (heap_count(heap, size)) {
        upkeep_beat(heap);
    }
}

/* --- Small blocks ------------------------------------------------------------------------------------------------- */

/* From the class's shared slab: for a thread without a heap (NULL), or the first blocks of one. */
static void *take_shared(struct heap *heap, size_t size) {
    void *block = shared_alloc(size);
    if (block == NULL && heap == NULL) {
        upkeep_gather(NULL);
        block = shared_alloc(size);
    }
    return block;
}

/* Fills the heap's magazine, or finds *block where it can have none. */
static bool transfer(struct heap *heap, unsigned size_class, void **block) {
    if (transfer_refill(heap, size_class)) {
        return true;
    }
    *block = transfer_take_one(heap, size_class);
    return *block != NULL;
}

/* From what the heap has, or gives up on its way to it. */
static bool refill(struct heap *heap, unsigned size_class, void **block) {
    lock_take(&heap->lock);
    bool filled =
        transfer(heap, size_class, block) || (upkeep_before_growth(heap) && transfer(heap, size_class, block));
    lock_give(&heap->lock);
    return filled;
}

static bool refill_from_fresh(struct heap *heap, unsigned size_class, void **block) {
    upkeep_make_way(heap);
    lock_take(&heap->lock);
    const size_t least = heap->slab_bytes / SLABS_PER_LARGES;
    lock_give(&heap->lock);
    upkeep_unload_larges(heap, size_classes[size_class].units, SIZE_MAX, least);
    lock_take(&heap->lock);
    bool filled = heap_grow(heap, size_class) != NULL && transfer(heap, size_class, block);
    lock_give(&heap->lock);
    return filled;
}

/* The magazine is empty: the heap's own memory, that of idle heaps, fresh memory, and at last what all heaps keep. */
static COLD void *alloc_refill(unsigned size_class, size_t size) {
    struct heap *heap = heap_ensured();
    if (!root_ready()) {
        return out_of_memory();
    }
    void *block = NULL;
    if (heap == NULL || thread_take_share(heap, size_class)) {
        block = take_shared(heap, size_classes[size_class].size);
        if (block != NULL || heap == NULL) {
            return block != NULL ? block : out_of_memory();
        }
    }
    bool filled = refill(heap, size_class, &block);
    if (!filled) {
        block = upkeep_steal(heap, size_class);
        filled = block != NULL || refill_from_fresh(heap, size_class, &block);
    }
    if (!filled) {
        upkeep_gather(heap);
        filled = refill(heap, size_class, &block) || refill_from_fresh(heap, size_class, &block);
    }
    if (!filled) {
        block = upkeep_steal_anywhere(heap, size_class);
    }
    heap_catch_up(heap);
    if (filled && block == NULL) {
        block = fast_pop(heap, size_class);
    }
    count_and_keep_up(heap, size);
    fault_if_suspect();
    limit_attend(heap);
    return block != NULL ? block : out_of_memory();
}

/* A large block that the thread has freed a moment ago; NULL when there is none. */
static void *take_cached(size_t size) {
    struct heap *heap = heap_mine;
    if (large_cache_count(&heap->larges) == 0) {
        return NULL; /* nor has heap_none any */
    }
    lock_take(&heap->lock);
    struct large *large = large_cache_take(&heap->larges, large_units(size));
    lock_give(&heap->lock);
    if (large == NULL) {
        return NULL;
    }
    counter_add(&heap->counters.large_bytes, round_up(size, OS_PAGE));
    return large_reuse(large, size);
}

COLD void *alloc_beat(void *block) {
    int saved = errno;
    upkeep_beat(heap_mine);
    fault_if_suspect();
    errno = saved;
    return block;
}

NOINLINE void *alloc_slow(size_t size) {
    if (size <= SMALL_MAX) {
        return alloc_refill(size_class_of(size), size);
    }
    void *block = take_cached(size);
    bool zero;
    return block != NULL ? block : alloc_big(size, 1, &zero);
}

void *engine_alloc(size_t size) {
    return fast_alloc(size);
}

/* --- Large and huge blocks ---------------------------------------------------------------------------------------- */

/* A dirty span that fits well, any dirty span when the heaps have given up cached blocks; the process's memory grows if
 * there is none. */
static void *take_large(struct heap *heap, size_t size, size_t alignment, bool *zero) {
    const size_t good = 2 * large_units(size);
    *zero = false;
    void *block = large_alloc_dirty(size, alignment, good);
    if (block == NULL) {
        upkeep_unload_larges(heap, large_units(size), good, 0);
        block = large_alloc_dirty(size, alignment, SIZE_MAX);
    }
    return block != NULL ? block : large_alloc(size, alignment, zero);
}

static void *take_big(struct heap *heap, size_t size, size_t alignment, bool *zero) {
    bool small_enough =
        (size < HUGE_MIN && alignment < HUGE_MIN) || atomic_load_explicit(&mems_root.no_mapping, memory_order_relaxed);
    void *block = small_enough ? take_large(heap, size, alignment, zero) : NULL;
    if (block == NULL) {
        block = huge_alloc(size, alignment);
        *zero = true;
    }
    if (block == NULL && !small_enough) {
        block = large_alloc(size, alignment, zero);
    }
    return block;
}

void engine_set_mapping(bool maps) {
    atomic_store_explicit(&mems_root.no_mapping, !maps, memory_order_relaxed);
}

NOINLINE void *alloc_big(size_t size, size_t alignment, bool *zero) {
    if (size > PTRDIFF_MAX) {
        return out_of_memory();
    }
    void *block = alignment <= UNIT ? take_cached(size) : NULL;
    if (block != NULL) {
        *zero = false;
        return block;
    }
    struct heap *heap = heap_ensured();
    if (!root_ready()) {
        return out_of_memory();
    }
    if (heap == NULL) {
        upkeep_decay();
    }
    block = take_big(heap, size, alignment, zero);
    if (block == NULL) {
        upkeep_gather(heap);
        block = take_big(heap, size, alignment, zero);
    }
    if (heap != NULL) {
        count_and_keep_up(heap, size);
    }
    fault_if_suspect();
    limit_attend(heap);
    if (block == NULL) {
        return out_of_memory();
    }
    if (window_holds(block)) {
        heap_count_large(heap_mine, large_size(large_of(block)));
    }
    return block;
}

/* --- Zeroed and aligned blocks ------------------------------------------------------------------------------------ */

/* All of the slot, not only what was asked for: a program may use what malloc_usable_size says. */
static void *zeroed_slot(size_t bytes) {
    void *block = engine_alloc(bytes);
    if (LIKELY(block != NULL)) {
        memset(block, 0, size_classes[entry_class(page_map_load(window_unit(block)))].size);
    }
    return block;
}

/* What the memory of a block outside the slabs is, of which alloc_big says that it reads as zero, or may not. */
static enum zeros_memory memory_of(const void *block, bool zero) {
    if (!zero) {
        return ZEROS_USED;
    }
    return window_holds(block) && span_purges() != 0 ? ZEROS_GIVEN_BACK : ZEROS_FRESH;
}

void *engine_alloc_zeroed(size_t count, size_t size) {
    size_t bytes;
    if (UNLIKELY(__builtin_mul_overflow(count, size, &bytes))) {
        return out_of_memory();
    }
    if (bytes <= SMALL_MAX) {
        return zeroed_slot(bytes);
    }
    bool zero;
    void *block = alloc_big(bytes, 1, &zero);
    struct heap *heap = heap_mine;
    if (block != NULL &&
        zeros_make(heap != &heap_none ? &heap->zeros : NULL, block, round_up(bytes, OS_PAGE), memory_of(block, zero)) &&
        window_holds(block)) {
        large_watch(block);
    }
    return block;
}

void *engine_alloc_aligned(size_t alignment, size_t size) {
    if (alignment <= GRANULE) {
        return engine_alloc(size);
    }
    if (size > PTRDIFF_MAX || alignment > PTRDIFF_MAX || size + alignment > PTRDIFF_MAX || !root_start()) {
        return out_of_memory();
    }
    unsigned size_class = size_class_of_aligned(alignment, size);
    if (size_class < SIZE_CLASSES) {
        struct heap *heap = heap_mine;
        void *block = fast_pop(heap, size_class);
        if (block == NULL) {
            return alloc_refill(size_class, size);
        }
        return LIKELY(!heap_count(heap, size)) ? block : alloc_beat(block);
    }
    bool zero;
    return alloc_big(size ? size : 1, alignment, &zero);
}
