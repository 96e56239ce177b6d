#include "idle.h"

#include <limits.h>

#include "engine/heaps/cached_blocks.h"
#include "engine/heaps/depot.h"
#include "engine/heaps/heap.h"
#include "engine/heaps/remote.h"
#include "engine/memory/span.h"
#include "engine/slabs/slab.h"
#include "os/os.h"

/* A heap is idle when its thread has taken no slow path for this long. */
#define IDLE_MS 10u

/* Other heaps that one pass, or one attempt to steal, examines. */
#define LOOKS 8u

/* How many slabs of an idle heap are searched for a block to steal, and how many others are skipped on the way. */
#define SEARCHED_SLABS 4u
#define PASSED_SLABS 64u

/* An empty slab that a heap keeps is the first of its class with free slots. In a heap that may be at work, only the
 * first few slabs are searched: it may have many thousands, and its thread may be waiting for the lock. */
#define KEPT_SLABS 2u

struct heap *idle_next(void) {
    static _Atomic uint32_t turn;
    uint32_t made = heaps_made();
    /* Relaxed: any order will do. */
    return heap_of(atomic_fetch_add_explicit(&turn, 1, memory_order_relaxed) % made + 1);
}

unsigned idle_looks(const struct heap *mine) {
    const uint32_t made = heaps_made();
    const bool has_others = atomic_load_explicit(&heaps.in_use, memory_order_relaxed) > (mine != NULL);
    return !has_others ? 0 : made < LOOKS ? made : LOOKS;
}

/* All threads that look share their observations. */
bool idle_now(struct heap *heap, uint64_t now_ms) {
    uint32_t calls = atomic_load_explicit(&heap->slow_calls, memory_order_relaxed);
    if (calls != atomic_load_explicit(&heap->seen_calls, memory_order_relaxed)) {
        atomic_store_explicit(&heap->seen_ms, now_ms, memory_order_relaxed);
        atomic_store_explicit(&heap->seen_calls, calls, memory_order_relaxed);
        return false;
    }
    return now_ms - atomic_load_explicit(&heap->seen_ms, memory_order_relaxed) >= IDLE_MS;
}

/* Whether there may be something in an idle heap: it has not been reclaimed since its thread last took a slow path, or
 * remote frees have arrived since. */
static bool has_more(const struct heap *heap) {
    return inbox_has_units(heap) || atomic_load_explicit(&heap->reclaimed, memory_order_relaxed) !=
                                        atomic_load_explicit(&heap->slow_calls, memory_order_relaxed) + 1;
}

/* Returns whether there may be more than that. */
static bool reclaim(struct heap *heap, size_t units) {
    const bool more = inbox_collect(heap, units, false);
    if (heap->arena != NULL) {
        cached_flush(heap); /* the lock covers an arena's magazines too */
    }
    depot_flush(heap);
    large_cache_flush(&heap->larges, units);
    heap_drop_empty(heap, UINT_MAX);
    return more || large_cache_count(&heap->larges) != 0;
}

void idle_reclaim(struct heap *heap, size_t units) {
    if (heap_is_bare(heap) || !reclaim(heap, units)) {
        atomic_store_explicit(&heap->reclaimed, atomic_load_explicit(&heap->slow_calls, memory_order_relaxed) + 1,
                              memory_order_relaxed);
    }
}

bool idle_reclaim_if(struct heap *heap, uint64_t now_ms) {
    if (!idle_now(heap, now_ms) || !lock_try(&heap->lock)) {
        return false;
    }
    const bool more = has_more(heap);
    if (more) {
        idle_reclaim(heap, IDLE_UNITS);
    }
    lock_give(&heap->lock);
    return more;
}

bool idle_reclaim_for(const struct heap *mine, uint64_t now_ms, size_t units) {
    bool fits = false;
    unsigned left = idle_looks(mine);
    for (unsigned i = (unsigned)min_size(heaps_made(), PEAK_HEAPS); i != 0 && left != 0 && !fits; i--) {
        struct heap *heap = idle_next();
        if (heap != mine && idle_reclaim_if(heap, now_ms)) {
            fits = span_dirty_fits(units, SIZE_MAX);
            left--;
        }
    }
    return fits;
}

bool idle_take_empty(const struct heap *mine, size_t units) {
    const uint32_t id = atomic_load_explicit(&heaps.emptied, memory_order_relaxed);
    struct heap *heap = id != 0 ? heap_of(id) : NULL;
    if (heap == NULL || heap == mine || !lock_try(&heap->lock)) {
        return false;
    }
    atomic_store_explicit(&heaps.emptied, 0, memory_order_relaxed);
    heap_drop_empty(heap, KEPT_SLABS);
    lock_give(&heap->lock);
    return span_dirty_fits(units, SIZE_MAX);
}

/* --- Stealing ----------------------------------------------------------------------------------------------------- */

/* A block that another thread freed and the heap's thread has not taken back, from the first `most` slabs that may have
 * one. Skips up to `passing` slabs whose free slots are all settled. Under the heap's lock. */
static void *steal_from(struct heap *heap, unsigned size_class, unsigned most, unsigned passing) {
    struct list *slabs = &heap->classes[size_class].slabs;
    unsigned passed = 0;
    if (heap_is_bare(heap)) {
        return NULL;
    }
    for (struct list *link = slabs->next; link != slabs && most != 0 && passed <= passing; link = link->next) {
        struct slab *slab = CONTAINER_OF(link, struct slab, link);
        if (slab_free_slots(slab) == 0) {
            break; /* those behind it are full too */
        }
        most -= slab->unsettled;
        passed += !slab->unsettled;
        void *block = slab->purging ? NULL : slab_steal(slab);
        if (block != NULL) {
            if (slab_free_slots(slab) == 0) {
                heap_slab_full(heap, size_class, slab);
            }
            counter_add(&heap->counters.stolen, 1);
            return block;
        }
    }
    return NULL;
}

/* Takes a block of the class from an idle heap. *more: the heap has more, even if only empty slabs. */
static void *steal_if_idle(struct heap *victim, const struct heap *mine, unsigned size_class, uint64_t now_ms,
                           bool *more) {
    *more = false;
    if (victim == mine || !idle_now(victim, now_ms) || !lock_try(&victim->lock)) {
        return NULL;
    }
    if (victim->arena != NULL) { /* its blocks end with it */
        lock_give(&victim->lock);
        return NULL;
    }
    if (has_more(victim)) {
        idle_reclaim(victim, IDLE_UNITS);
    }
    void *block = steal_from(victim, size_class, SEARCHED_SLABS, PASSED_SLABS);
    *more = block != NULL || has_more(victim);
    lock_give(&victim->lock);
    return block;
}

void *idle_steal(struct heap *heap, unsigned size_class) {
    const unsigned looks = idle_looks(heap);
    if (looks == 0) {
        return NULL;
    }
    const uint64_t now_ms = os_coarse_ms();
    void *block = NULL;
    bool more = false;
    if (heap->victim != 0) {
        block = steal_if_idle(heap_of(heap->victim), heap, size_class, now_ms, &more);
        heap->victim = more ? heap->victim : 0;
    }
    /* After a failed search there is no other before the clock has moved on, because no heap has become idle
     * meanwhile. */
    if (heap->victim == 0 && now_ms != heap->searched_ms) {
        heap->searched_ms = now_ms;
        for (unsigned i = looks; heap->victim == 0 && i != 0; i--) {
            struct heap *victim = idle_next();
            block = steal_if_idle(victim, heap, size_class, now_ms, &more);
            heap->victim = more ? victim->id : 0;
        }
    }
    return block;
}

void *idle_steal_anywhere(struct heap *heap, unsigned size_class) {
    void *block = NULL;
    uint32_t made = heaps_made();
    for (uint32_t id = 1; block == NULL && id <= made; id++) {
        struct heap *victim = heap_of(id);
        if (victim != heap) {
            lock_take(&victim->lock);
            block = victim->arena == NULL ? steal_from(victim, size_class, UINT_MAX, UINT_MAX) : NULL;
            lock_give(&victim->lock);
        }
    }
    return block;
}
