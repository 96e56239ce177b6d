/*
 * alloc.c - malloc and aligned_alloc beyond the fast path.
 */
#include <errno.h>
#include <stdint.h>

#include "engine/engine.h"
#include "engine/heaps/cached_blocks.h"
#include "engine/heaps/sample_points.h"
#include "engine/memory/huge.h"
#include "engine/memory/large.h"
#include "engine/modes/harden.h"
#include "engine/modes/sampled_block.h"
#include "engine/modes/sweep.h"
#include "engine/probe.h"
#include "engine/reports/heap_limit.h"
#include "engine/slabs/abandoned.h"
#include "engine/upkeep/before_growth.h"
#include "engine/upkeep/idle.h"
#include "engine/upkeep/trim.h"
#include "engine/upkeep/upkeep.h"
#include "fast_path.h"
#include "front.h"

void *out_of_memory(void) {
    atomic_fetch_add_explicit(&mems_root.failures, 1, memory_order_relaxed);
    errno = ENOMEM;
    return NULL;
}

/*
 * Before a heap's slabs grow, it flushes cached large blocks if these have at least 1/SLABS_PER_LARGES of the slabs'
 * bytes. Slabs fill slowly and large blocks at once, so if dirty spans are scarce they are better left to large blocks.
 */
#define SLABS_PER_LARGES 8u

/* Ends a slow path. Returns the mean sampling interval if the block is to be a sample, or 0. */
static uint64_t count_and_keep_up(struct heap *heap, size_t size) {
    uint64_t interval = 0;
    upkeep(heap);
    if (heap_count(heap, size)) {
        interval = sample_points_beat(heap);
        upkeep_beat(heap);
    }
    request_serve();
    return interval;
}

/* A large block in place of a medium one; NULL if there is no memory. */
static void *large_instead(struct heap *heap, size_t size) {
    bool zero;
    void *block = large_alloc(size, 1, &zero);
    if (block != NULL) {
        heap_count_large(heap, large_size(large_of(block)));
    }
    return block;
}

/* Makes a block a sample, or replaces it by one: a small block by one with a guard, a medium one by a large one. */
static COLD void *sampled(void *block, size_t size, size_t alignment, uint64_t interval) {
    struct heap *heap = heap_mine;
    const bool in_slab = window_holds(block) && entry_is_slab(page_map_load(window_unit(block)));
    void *sample = block;
    if (in_slab) {
        sample = size <= SMALL_MAX ? sampled_block_take(heap, size, alignment, interval) : large_instead(heap, size);
        if (sample == NULL) {
            return block;
        }
        engine_free(block);
    }
    if (!in_slab || size > SMALL_MAX) {
        sampled_block_mark(heap, sample, size, interval);
    }
    return sample;
}

/* --- Small blocks ------------------------------------------------------------------------------------------------- */

/* From the class's shared slab: for a thread without a heap (NULL), or a heap's first blocks. */
static void *take_shared(struct heap *heap, size_t size) {
    void *block = shared_alloc(size);
    if (block == NULL && heap == NULL) {
        upkeep_reclaim_all(NULL);
        block = shared_alloc(size);
    }
    return block;
}

/* Fills the heap's magazine, or sets *block if there can be none. */
static bool transfer(struct heap *heap, unsigned size_class, void **block) {
    if (cached_refill(heap, size_class)) {
        return true;
    }
    *block = cached_take_one(heap, size_class);
    return *block != NULL;
}

/* From the heap's own memory, or memory that it flushes on the way. */
static bool refill(struct heap *heap, unsigned size_class, void **block) {
    lock_take(&heap->lock);
    bool filled =
        transfer(heap, size_class, block) || (upkeep_before_growth(heap) && transfer(heap, size_class, block));
    lock_give(&heap->lock);
    return filled;
}

static bool refill_from_fresh(struct heap *heap, unsigned size_class, void **block) {
    upkeep_before_peak(heap, size_classes[size_class].units);
    lock_take(&heap->lock);
    const size_t least = heap->slab_bytes / SLABS_PER_LARGES;
    lock_give(&heap->lock);
    upkeep_flush_larges(heap, size_classes[size_class].units, SIZE_MAX, least);
    lock_take(&heap->lock);
    bool filled = heap_grow(heap, size_class) != NULL && transfer(heap, size_class, block);
    lock_give(&heap->lock);
    return filled;
}

bool alloc_fill(struct heap *heap, unsigned size_class, void **block) {
    return refill(heap, size_class, block) || refill_from_fresh(heap, size_class, block);
}

/* After this many blocks of a class that a thread has stolen and freed, its heap grows by a slab: by its first one, or
 * by another. */
#define BOUNCES_BEFORE_SLAB 8u
#define BOUNCES_BEFORE_GROWTH 200u

/*
 * Whether a block may be stolen from an idle heap. A block that is freed goes back to where it was stolen, so a thread
 * that frees what it steals would take the slow path and a lock at each malloc and each free.
 */
static bool may_steal(struct heap *heap, unsigned size_class) {
    struct heap_class *of = &heap->classes[size_class];
    const uint8_t freed = (uint8_t)atomic_load_explicit(&of->remote, memory_order_relaxed);
    of->bounces = (uint8_t)(of->bounces + (freed != of->freed));
    of->freed = freed;
    if (of->bounces < (heap->bottoms[size_class] == NULL ? BOUNCES_BEFORE_SLAB : BOUNCES_BEFORE_GROWTH)) {
        return true;
    }
    of->bounces = 0;
    return false;
}

/*
 * Tries the heap's own memory, that of idle heaps, fresh memory, and finally memory that any heap keeps. `harden`:
 * recently freed blocks are taken from another heap only when memory runs out.
 * *interval: see count_and_keep_up.
 */
ALWAYS_INLINE void *obtain(struct heap *heap, unsigned size_class, size_t size, unsigned harden, uint64_t *interval) {
    PROBE_2(refill, size_class, size);
    void *block = NULL;
    *interval = 0;
    if (heap == NULL || thread_take_share(heap, size_class)) {
        block = take_shared(heap, size_class_room(size_class));
        if (block != NULL || heap == NULL) {
            if (heap != NULL && heap_count(heap, size)) {
                *interval = sample_points_beat(heap);
                upkeep_beat(heap);
            }
            return block != NULL ? block : out_of_memory();
        }
    }
    bool filled = refill(heap, size_class, &block);
    if (!filled) {
        block = harden == HARDEN_OFF && may_steal(heap, size_class) ? idle_steal(heap, size_class) : NULL;
        filled = block != NULL || refill_from_fresh(heap, size_class, &block);
    }
    if (!filled) {
        upkeep_reclaim_all(heap);
        filled = alloc_fill(heap, size_class, &block);
    }
    if (!filled) {
        block = idle_steal_anywhere(heap, size_class);
    }
    heap_catch_up(heap);
    if (filled && block == NULL) {
        block = fast_pop(heap, size_class + (harden == HARDEN_FULL ? HARDENED : 0));
    }
    *interval = count_and_keep_up(heap, size);
    fault_if_suspect();
    heap_limit_attend(heap);
    return block != NULL ? block : out_of_memory();
}

static NOINLINE void *alloc_full(struct heap *heap, size_t size, enum origin origin);
static COLD void *beat_exact(void *block, size_t size, size_t alignment, enum origin origin);
static void *alloc_hardened(struct heap *heap, size_t size);

/* The magazine is empty. */
static COLD void *alloc_refill(unsigned size_class, size_t size, size_t alignment) {
    struct heap *heap = heap_ensured();
    if (UNLIKELY(!root_plain())) {
        return root_ready() ? alloc_hardened(heap, size) : out_of_memory();
    }
    uint64_t interval;
    void *block = obtain(heap, size_class, size, HARDEN_OFF, &interval);
    return LIKELY(interval == 0) || block == NULL ? block : sampled(block, size, alignment, interval);
}

/*
 * The maximum that a cached block beyond SMALL_MAX counts towards the beat, unless samples are taken: it takes no
 * memory, and beats with nothing to do would cost more than the call itself. A medium block that is not cached takes
 * the slow path as small ones do, which counts all of it.
 */
#define LARGE_COUNT (HEAP_BEAT / CALLS_PER_PASS)
#define MEDIUM_COUNT (LARGE_COUNT / 4)

static size_t counted(const struct heap *heap, size_t size, size_t most) {
    return heap->interval == 0 && size > most ? most : size;
}

/* From the lists of the cache, or a ready block that is wider. heap_none has neither. */
ALWAYS_INLINE struct large *take_listed(struct heap *heap, size_t size) {
    struct large *large = NULL;
    if (large_cache_listed(&heap->larges) != 0) {
        lock_take(&heap->lock);
        large = large_cache_take(&heap->larges, large_units(size));
        lock_give(&heap->lock);
    }
    return large != NULL ? large : large_cache_take_wider(&heap->larges, large_units(size));
}

/* Hands out a block of the cache. */
ALWAYS_INLINE void *reuse(struct heap *heap, struct large *large, size_t size) {
    counter_add(&heap->counters.large_bytes, round_up(size, OS_PAGE));
    void *block = large_reuse(large, size);
    return LIKELY(!heap_count(heap, counted(heap, size, LARGE_COUNT))) ? block : alloc_beat(block, size, 1);
}

/* A large block that the thread freed a moment ago, or NULL. */
static void *take_cached(size_t size) {
    struct heap *heap = heap_mine;
    struct large *large = large_cache_take_ready(&heap->larges, large_units(size));
    if (large == NULL) {
        large = take_listed(heap, size);
    }
    return large != NULL ? reuse(heap, large, size) : NULL;
}

COLD void *alloc_beat(void *block, size_t size, size_t alignment) {
    int saved = errno;
    const uint64_t interval = sample_points_beat(heap_mine);
    upkeep_beat(heap_mine);
    request_serve();
    fault_if_suspect();
    if (interval != 0) {
        block = sampled(block, size, alignment, interval);
    }
    errno = saved;
    return block;
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

/* What these two call, they call last, so they need no frame. */
static NOINLINE void *alloc_slow_large(size_t size) {
    struct heap *heap = heap_mine;
    struct large *large = large_cache_take_ready(&heap->larges, large_units(size));
    return LIKELY(large != NULL) ? reuse(heap, large, size) : alloc_unready(heap, size);
}

/* A medium block whose magazine is empty; in the hardened modes, without a heap or before the class has slabs a large
 * one. */
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

static NOINLINE void *begin_exact(struct heap *heap, void *block, size_t size, size_t alignment, enum origin origin);
static NOINLINE void *swept_exact(struct heap *heap, void *block, size_t size, size_t alignment, enum origin origin);

/*
 * With harden=full: a short block, if one is ready in the magazine; otherwise, and in all other modes, calls
 * slow(size, origin). Calls functions only as the last thing that it does, so that it need not save registers.
 */
ALWAYS_INLINE void *alloc_short_or(size_t size, enum origin origin, void *(*slow)(size_t size, enum origin origin)) {
    const size_t size_class = size / GRANULE; /* at least a byte is left */
    if (UNLIKELY(size == 0 || size_class >= SHORT_CLASSES)) {
        return slow(size, origin);
    }
    struct heap *heap = heap_mine;
    void **top = heap->tops[HARDENED + size_class];
    void *block = *top;
    if (UNLIKELY(block == NULL)) {
        return slow(size, origin);
    }
    heap->tops[HARDENED + size_class] = top - 1;
    fast_live_begin(heap, block);
    const struct slot slot = harden_slot_short(heap, block, size_class);
    if (UNLIKELY(!zero_intact(slot.start, slot.room))) {
        return begin_exact(heap, block, size, 1, origin);
    }
    const size_t slack = slot.room - size;
    canary_write_zero_short(slot.start, slack, slot.room);
    record_store(&slot, record_of_slack(slack, origin));
    if (UNLIKELY(--heap->hardened->until_sweep == 0)) {
        return swept_exact(heap, block, size, 1, origin);
    }
    return LIKELY(!heap_count(heap, size)) ? block : beat_exact(block, size, 1, origin);
}

/* A small block, if there is no short one that is ready. */
static NOINLINE void *alloc_slow_small(size_t size, enum origin origin) {
    struct heap *heap = heap_mine;
    return heap->mode_offset == HARDENED ? alloc_full(heap, size, origin) : alloc_refill(size_class_of(size), size, 1);
}

/* With harden=full this is malloc's usual path. What it calls, it calls last, so that it needs no frame. */
NOINLINE void *alloc_slow(size_t size) {
    if (size <= SMALL_MAX) {
        return alloc_short_or(size, ORIGIN_MALLOC, alloc_slow_small);
    }
    return size <= MEDIUM_MAX && os_single_threaded() ? alloc_medium(size) : alloc_slow_large(size);
}

void *engine_alloc(size_t size) {
    return fast_alloc(size);
}

/* --- Large and huge blocks ---------------------------------------------------------------------------------------- */

/* A dirty span that fits well; any dirty span once the heaps have flushed cached blocks; if there is none, the
 * process's memory grows. */
static void *take_large(struct heap *heap, size_t size, size_t alignment, bool *zero) {
    const size_t good = 2 * large_units(size);
    *zero = false;
    void *block = large_alloc_dirty(size, alignment, good);
    if (block == NULL) {
        upkeep_flush_larges(heap, large_units(size), good, 0);
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
        block = engine_confine_if_refused() ? huge_alloc(size, alignment) : large_alloc(size, alignment, zero);
    }
    return block;
}

void engine_set_mapping(bool maps) {
    atomic_store_explicit(&mems_root.no_mapping, !maps, memory_order_relaxed);
}

/* How to take memory for a block outside the slabs. */
typedef void *take_function(struct heap *heap, size_t size, size_t alignment, bool *zero);

static void *take_or_reclaim(take_function *take, struct heap *heap, size_t size, size_t alignment, bool *zero) {
    void *block = take(heap, size, alignment, zero);
    if (block == NULL) {
        upkeep_reclaim_all(heap);
        block = take(heap, size, alignment, zero);
    }
    return block;
}

/* Finishes a block of `size` bytes; `heap` may be NULL. */
static void *finish_big(struct heap *heap, void *block, size_t size, size_t alignment) {
    const uint64_t interval = heap != NULL ? count_and_keep_up(heap, size) : 0;
    fault_if_suspect();
    heap_limit_attend(heap);
    if (block == NULL) {
        return out_of_memory();
    }
    if (window_holds(block)) {
        heap_count_large(heap_mine, large_size(large_of(block)));
    }
    return LIKELY(interval == 0) ? block : sampled(block, size, alignment, interval);
}

static void *alloc_big_hardened(take_function *take, struct heap *heap, size_t size, size_t alignment, bool *zero,
                                enum origin origin);

/* From the thread's cache, or by take(). */
static void *alloc_by(take_function *take, size_t size, size_t alignment, bool *zero) {
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
        return root_ready() ? alloc_big_hardened(take, heap, size, alignment, zero, ORIGIN_MALLOC) : out_of_memory();
    }
    if (heap == NULL) {
        upkeep_decay();
    }
    return finish_big(heap, take_or_reclaim(take, heap, size, alignment, zero), size, alignment);
}

void *alloc_grown(size_t size, size_t ample, bool purge, bool *fresh) {
    struct heap *heap = heap_ensured();
    void *block = take_or_reclaim(take_large, heap, ample, 1, fresh);
    if (block != NULL && ample > size) {
        large_keep_headroom(block, size, purge && !*fresh);
    }
    return finish_big(heap, block, size, 1);
}

void alloc_count_resized(void *block, size_t old_size, size_t size) {
    struct heap *heap = heap_mine;
    const size_t growth = size > old_size ? size - old_size : 0;
    if (heap != &heap_none && heap_count(heap, heap->interval == 0 ? growth : size)) {
        (void)alloc_beat(block, size, 1);
    }
}

static COLD void *alloc_big_hardened(take_function *take, struct heap *heap, size_t size, size_t alignment, bool *zero,
                                     enum origin origin) {
    struct large *kept = NULL;
    if (heaps.harden == HARDEN_LIGHT && heap != NULL && alignment <= UNIT) {
        lock_take(&heap->lock);
        kept = hardened_take_large(heap, large_units_fenced(size), round_up(size, OS_PAGE));
        lock_give(&heap->lock);
    }
    void *block;
    if (kept != NULL) {
        *zero = false;
        block = large_reuse(kept, size);
        heap_count_large(heap, large_size(kept));
        block = LIKELY(!heap_count(heap, size)) ? block : alloc_beat(block, size, alignment);
    } else {
        if (heap == NULL) {
            upkeep_decay();
        }
        block = finish_big(heap, take_or_reclaim(take, heap, size, alignment, zero), size, alignment);
    }
    if (block != NULL) {
        harden_begin_big(block, size, origin);
    }
    if (heap != NULL && heaps.harden == HARDEN_FULL) {
        sweep_step(heap, "malloc");
    }
    return block;
}

NOINLINE void *alloc_big(size_t size, size_t alignment, bool *zero) {
    return alloc_by(take_big, size, alignment, zero);
}

void *alloc_large(size_t size, size_t alignment, bool *zero) {
    return alloc_by(take_large, size, alignment, zero);
}

/* --- Hardened blocks ---------------------------------------------------------------------------------------------- */

/* The calling thread's heap, or NULL. */
static struct heap *heap_or_null(void) {
    return heap_mine != &heap_none ? heap_mine : NULL;
}

/* With harden=full: the magazine is empty. */
static NOINLINE void *alloc_exact_refill(unsigned size_class, size_t size, size_t alignment, enum origin origin) {
    struct heap *heap = heap_or_null();
    uint64_t interval;
    void *block = obtain(heap, size_class, size, HARDEN_FULL, &interval);
    if (block == NULL) {
        return NULL;
    }
    const struct slot slot = slot_of(block, entry_class(page_map_load(window_unit(block))));
    harden_begin(&slot, size, ORIGIN_MALLOC);
    if (heap != NULL) {
        sweep_step(heap, "malloc");
    }
    return harden_set_origin(interval == 0 ? block : sampled(block, size, alignment, interval), origin);
}

/* A block that is handed out at a beat. If a sample replaces it, it is freed as one of malloc, so its origin is set
 * last. */
static COLD void *beat_exact(void *block, size_t size, size_t alignment, enum origin origin) {
    harden_set_origin(block, ORIGIN_MALLOC);
    return harden_set_origin(alloc_beat(block, size, alignment), origin);
}

/* A step of a sweep before a block is handed out. */
static NOINLINE void *swept_exact(struct heap *heap, void *block, size_t size, size_t alignment, enum origin origin) {
    sweep_step(heap, "malloc");
    return LIKELY(!heap_count(heap, size)) ? block : beat_exact(block, size, alignment, origin);
}

/* Ends an allocation with harden=full. */
ALWAYS_INLINE void *end_exact(struct heap *heap, void *block, size_t size, size_t alignment, enum origin origin) {
    if (UNLIKELY(--heap->hardened->until_sweep == 0)) {
        return swept_exact(heap, block, size, alignment, origin);
    }
    return LIKELY(!heap_count(heap, size)) ? block : beat_exact(block, size, alignment, origin);
}

/* The same for a slot that has just become live. */
static NOINLINE void *begin_exact(struct heap *heap, void *block, size_t size, size_t alignment, enum origin origin) {
    const struct slot slot = slot_of(block, entry_class(page_map_load(window_unit(block))));
    harden_begin(&slot, size, origin);
    return end_exact(heap, block, size, alignment, origin);
}

/* With harden=full, a block of any class. */
ALWAYS_INLINE void *alloc_exact(struct heap *heap, unsigned size_class, size_t size, size_t alignment,
                                enum origin origin) {
    void **top = heap->tops[HARDENED + size_class];
    void *block = *top;
    if (UNLIKELY(block == NULL)) {
        return alloc_exact_refill(size_class, size, alignment, origin);
    }
    heap->tops[HARDENED + size_class] = top - 1;
    fast_live_begin(heap, block);
    const struct slot slot = slot_of(block, size_class);
    harden_begin(&slot, size, origin);
    return end_exact(heap, block, size, alignment, origin);
}

/* With harden=light: the magazine is empty. */
static void *alloc_light(struct heap *heap, unsigned size_class, size_t size, size_t alignment) {
    uint64_t interval;
    void *block = obtain(heap, size_class, size, HARDEN_LIGHT, &interval);
    return interval == 0 || block == NULL ? block : sampled(block, size, alignment, interval);
}

static COLD void *alloc_full_big(size_t size, enum origin origin) {
    bool zero;
    return size <= PTRDIFF_MAX ? alloc_big_hardened(take_big, heap_or_null(), size, 1, &zero, origin) : out_of_memory();
}

static NOINLINE void *alloc_full(struct heap *heap, size_t size, enum origin origin) {
    const unsigned size_class = harden_class(size);
    return LIKELY(size_class < SIZE_CLASSES) ? alloc_exact(heap, size_class, size, 1, origin)
                                             : alloc_full_big(size, origin);
}

/* The engine may have started in between and set up the classes, so the size's class is looked up again. */
static void *alloc_hardened(struct heap *heap, size_t size) {
    return heaps.harden == HARDEN_LIGHT ? alloc_light(heap, size_class_of(size), size, 1)
                                        : alloc_full(heap_mine, size, ORIGIN_MALLOC);
}

static COLD void *alloc_aligned_hardened(size_t alignment, size_t size, enum origin origin) {
    struct heap *heap = heap_ensured();
    size = size != 0 ? size : 1;
    unsigned size_class =
        heaps.harden == HARDEN_FULL ? harden_class_aligned(alignment, size) : size_class_of_aligned(alignment, size);
    if (size_class == SIZE_CLASSES) {
        bool zero;
        return alloc_big_hardened(take_big, heap, size, alignment, &zero, origin);
    }
    if (heaps.harden == HARDEN_FULL) {
        return alloc_exact(heap_mine, size_class, size, alignment, origin);
    }
    void *block = fast_pop(heap_mine, size_class);
    return block != NULL ? block : alloc_light(heap, size_class, size, alignment);
}

static NOINLINE void *alloc_as_any(size_t size, enum origin origin) {
    if (LIKELY(root_plain()) || !root_start() || heaps.harden != HARDEN_FULL) {
        return engine_alloc(size);
    }
    (void)heap_ensured();
    return alloc_full(heap_mine, size, origin);
}

void *engine_alloc_as(enum origin origin, size_t size) {
    return alloc_short_or(size, origin, alloc_as_any);
}

/* --- Aligned and ample blocks ------------------------------------------------------------------------------------- */

static void *alloc_of_class(unsigned size_class, size_t size, size_t alignment) {
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

void *engine_alloc_aligned(size_t alignment, size_t size) {
    return engine_alloc_aligned_as(ORIGIN_MALLOC, alignment, size);
}

void *engine_alloc_aligned_as(enum origin origin, size_t alignment, size_t size) {
    if (alignment <= GRANULE) {
        return origin == ORIGIN_MALLOC ? engine_alloc(size) : engine_alloc_as(origin, size);
    }
    if (size > PTRDIFF_MAX || alignment > PTRDIFF_MAX || size + alignment > PTRDIFF_MAX) {
        return out_of_memory();
    }
    if (UNLIKELY(!root_plain())) {
        if (!root_start()) {
            return out_of_memory();
        }
        if (!root_plain()) {
            return alloc_aligned_hardened(alignment, size, origin);
        }
    }
    unsigned size_class = size_class_of_aligned(alignment, size);
    if (size_class < SIZE_CLASSES) {
        return alloc_of_class(size_class, size, alignment);
    }
    bool zero;
    return alloc_big(size ? size : 1, alignment, &zero);
}
