/* alloc.c - malloc beyond the fast path. */
#include "alloc.h"

#include <stdint.h>

#include "engine/engine.h"
#include "engine/heaps/sample_points.h"
#include "engine/memory/large.h"
#include "engine/upkeep/decay.h"
#include "fast_path.h"
#include "harden_alloc.h"
#include "supply.h"
#include "supply_big.h"

/* --- Small blocks ------------------------------------------------------------------------------------------------- */

/* The magazine is empty. */
static COLD void *alloc_refill(unsigned size_class, size_t size, size_t alignment) {
    struct heap *heap = heap_ensured();
    if (UNLIKELY(!root_plain())) {
        return root_ready() ? harden_alloc(heap, size) : out_of_memory();
    }
    return supply_small(heap, size_class, size, alignment);
}

/* A cached block beyond SMALL_MAX counts at most this towards the next pass: it takes no memory, and passes with
 * nothing to do would cost more than the call. A medium block that is not cached takes
 * the slow path, which counts all of it. */
#define LARGE_COUNT (HEAP_BEAT / CALLS_PER_PASS)
#define MEDIUM_COUNT (LARGE_COUNT / 4)

static size_t counted(struct heap *heap, size_t size, size_t most) {
    return size > most && sample_points_skip(heap, size - most) ? most : size;
}

/* From the cache's lists, or a ready block that is wider. heap_none has neither. */
ALWAYS_INLINE struct large *take_listed(struct heap *heap, size_t size) {
    struct large *large = NULL;
    if (large_cache_listed(&heap->larges) != 0) {
        lock_take(&heap->lock);
        large = large_cache_take(&heap->larges, large_units(size));
        lock_give(&heap->lock);
    }
    return large != NULL ? large : large_cache_take_wider(&heap->larges, large_units(size));
}

ALWAYS_INLINE void *reuse(struct heap *heap, struct large *large, size_t size) {
    counter_add(&heap->counters.large_bytes, round_up(size, OS_PAGE));
    void *block = large_reuse(large, size);
    return LIKELY(!heap_count(heap, counted(heap, size, LARGE_COUNT))) ? block : alloc_beat(block, size, 1);
}

/* Freed by the thread a moment ago; or NULL. */
static void *take_cached(size_t size) {
    struct heap *heap = heap_mine;
    struct large *large = large_cache_take_ready(&heap->larges, large_units(size));
    if (large == NULL) {
        large = take_listed(heap, size);
    }
    return large != NULL ? reuse(heap, large, size) : NULL;
}

static NOINLINE void *alloc_uncached(size_t size) {
    bool zero;
    return alloc_big(size, 1, &zero);
}

/* No large block is ready. */
static NOINLINE void *alloc_unready(struct heap *heap, size_t size) {
    struct large *large = take_listed(heap, size);
    return large != NULL ? reuse(heap, large, size) : alloc_uncached(size);
}

/* These two call others only as the last thing, so they need no frame. */
static NOINLINE void *alloc_slow_large(size_t size) {
    struct heap *heap = heap_mine;
    struct large *large = large_cache_take_ready(&heap->larges, large_units(size));
    return LIKELY(large != NULL) ? reuse(heap, large, size) : alloc_unready(heap, size);
}

/* A medium block whose magazine is empty; a large one if hardened, without a heap, or before the class has slabs. */
static NOINLINE void *alloc_medium_refill(unsigned size_class, size_t size) {
    struct heap *heap = heap_ensured();
    if (heap == NULL || !root_plain()) {
        return alloc_slow_large(size);
    }
    struct heap_class *of = &heap->classes[size_class];
    if (LIKELY(of->share == 0)) {
        return alloc_refill(size_class, size, 1);
    }
    void *block = take_cached(size);
    of->share = (uint8_t)(of->share - (block != NULL));
    return block != NULL ? block : alloc_uncached(size);
}

static NOINLINE void *alloc_medium(size_t size) {
    struct heap *heap = heap_mine;
    const unsigned size_class = size_class_of_medium(size);
    void *block = fast_pop(heap, size_class);
    if (UNLIKELY(block == NULL)) {
        return alloc_medium_refill(size_class, size);
    }
    return LIKELY(!heap_count(heap, counted(heap, size, MEDIUM_COUNT))) ? block : alloc_beat(block, size, 1);
}

/* A small block, if no short one is ready. */
static NOINLINE void *alloc_slow_small(size_t size, enum origin origin) {
    struct heap *heap = heap_mine;
    return heap->mode_offset == HARDENED ? harden_alloc_full(heap, size, origin)
                                         : alloc_refill(size_class_of(size), size, 1);
}

/* malloc's usual path with harden=full. Calls others only as the last thing, so it needs no frame. */
NOINLINE void *alloc_slow(size_t size) {
    if (size <= SMALL_MAX) {
        return harden_alloc_short_or(size, ORIGIN_MALLOC, alloc_slow_small);
    }
    return size <= MEDIUM_MAX && os_single_threaded() ? alloc_medium(size) : alloc_slow_large(size);
}

void *engine_alloc(size_t size) {
    return fast_alloc(size);
}

/* For a function other than malloc. */
static NOINLINE void *alloc_as_any(size_t size, enum origin origin) {
    if (LIKELY(root_plain()) || !root_start() || heaps.harden == HARDEN_OFF) {
        return engine_alloc(size);
    }
    (void)heap_ensured();
    if (heaps.harden == HARDEN_FULL) {
        return harden_alloc_full(heap_mine, size, origin);
    }
    return size <= SMALL_MAX ? engine_alloc(size) : harden_alloc_beyond(size, origin);
}

void *engine_alloc_as(enum origin origin, size_t size) {
    return harden_alloc_short_or(size, origin, alloc_as_any);
}

/* --- Large and huge blocks ---------------------------------------------------------------------------------------- */

/* From the thread's cache, or by supply(). */
static void *alloc_by(supply_function *supply, size_t size, size_t alignment, bool *zero) {
    if (size > PTRDIFF_MAX) {
        return out_of_memory();
    }
    void *block = alignment <= UNIT ? take_cached(size) : NULL;
    if (block != NULL) {
        *zero = false;
        return block;
    }
    struct heap *heap = heap_ensured();
    if (UNLIKELY(!root_plain())) {
        return root_ready() ? harden_alloc_big(supply, heap, size, alignment, zero, ORIGIN_MALLOC) : out_of_memory();
    }
    return supply(heap, size, alignment, zero);
}

void *alloc_grown(size_t size, size_t ample, bool purge, bool *fresh) {
    return supply_grown(heap_ensured(), size, ample, purge, fresh);
}

void alloc_count_resized(void *block, size_t old_size, size_t size) {
    struct heap *heap = heap_mine;
    const size_t growth = size > old_size ? size - old_size : 0;
    if (heap != &heap_none && heap_count(heap, counted(heap, size, growth))) {
        (void)alloc_beat(block, size, 1);
    }
}

NOINLINE void *alloc_big(size_t size, size_t alignment, bool *zero) {
    return alloc_by(supply_big, size, alignment, zero);
}

void *alloc_large(size_t size, size_t alignment, bool *zero) {
    return alloc_by(supply_large, size, alignment, zero);
}

/* --- Blocks of a given class ------------------------------------------------------------------------------------- */

void *alloc_of_class(unsigned size_class, size_t size, size_t alignment) {
    struct heap *heap = heap_mine;
    void *block = fast_pop(heap, size_class);
    if (block == NULL) {
        return alloc_refill(size_class, size, alignment);
    }
    return LIKELY(!heap_count(heap, size)) ? block : alloc_beat(block, size, alignment);
}

void *alloc_ample(size_t size, size_t ample) {
    return ample <= SMALL_MAX ? alloc_of_class(size_class_of(ample), size, 1) : alloc_uncached(size);
}
