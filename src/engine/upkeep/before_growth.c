#include "before_growth.h"

#include "engine/heaps/cached_blocks.h"
#include "engine/heaps/depot.h"
#include "engine/heaps/heap.h"
#include "engine/heaps/remote.h"
#include "engine/memory/span.h"
#include "engine/slabs/abandoned.h"
#include "engine/slabs/slab.h"
#include "engine/tables/holding.h"
#include "idle.h"
#include "os/os.h"
#include "page_purge.h"

/* Before slabs exceed their peak, we look for empty slabs: those that no heap owns, those of idle heaps, the one that a
 * heap kept last. Memory that changes hands as a span needs no page fault. If that makes no dirty span, free pages are
 * purged. We look again when slabs hold this many pages more, or this fraction if that is more; but after much was
 * purged, when they hold more by the pages purged in vain (needed again since), plus a fraction of those purged. */
#define PEAK_MIN_PAGES ((size_t)128)
#define PEAK_SHARE 64u
#define PEAK_RISE 64u

/* Slabs get cached large blocks of up to this fraction of memory. */
#define FLUSH_SHARE 16u

/* How many large blocks are flushed before we check whether they suffice. */
#define LARGES_STEP 8u

/* Idle classes are flushed when a heap's slabs have grown by this much, and by this fraction. */
#define GROWTH_MIN ((size_t)1 << 20)
#define GROWTH_SHARE 8u

void upkeep_flush_later(struct heap *heap) {
    size_t share = heap->slab_bytes / GROWTH_SHARE;
    heap->flush_at = heap->slab_bytes + (share > GROWTH_MIN ? share : GROWTH_MIN);
}

/* Flushes the cached blocks of classes whose magazines had no refill since the last time, because one block may keep a
 * whole slab from being empty. The last slab of a class stays: a program that allocates and frees by turns needs no
 * refill either. */
static bool flush_idle_classes(struct heap *heap) {
    if (heap->slab_bytes < heap->flush_at) {
        return false;
    }
    for (unsigned size_class = 0; size_class < SIZE_CLASSES; size_class++) {
        struct heap_class *of = &heap->classes[size_class];
        if (of->idle) {
            cached_flush_class(heap, size_class);
        }
        of->idle = true;
    }
    upkeep_flush_later(heap);
    return true;
}

bool upkeep_before_growth(struct heap *heap) {
    inbox_collect(heap, IDLE_UNITS, true);
    return depot_flush_if_large(heap) || flush_idle_classes(heap);
}

/* Flushes up to *left cached blocks of a heap, under its lock. True once there is a dirty span of the wanted kind. */
static bool flush_larges(struct heap *heap, size_t units, size_t most, size_t least, size_t *left) {
    bool fits = span_dirty_fits(units, most);
    while (!fits && *left != 0 && large_cache_count(&heap->larges) != 0 &&
           large_cache_units(&heap->larges) << UNIT_SHIFT >= least) {
        large_cache_flush(&heap->larges, LARGES_STEP);
        *left -= LARGES_STEP;
        fits = span_dirty_fits(units, most);
    }
    return fits;
}

void upkeep_flush_larges(struct heap *mine, size_t units, size_t most, size_t least) {
    size_t left = FLUSHED_LARGES;
    bool fits = false;
    if (mine != NULL && large_cache_used(&mine->larges)) {
        lock_take(&mine->lock);
        large_cache_decay(&mine->larges, os_coarse_ms(), FLUSHED_LARGES); /* flushed later, it counts as just freed */
        fits = flush_larges(mine, units, most, least, &left);
        lock_give(&mine->lock);
    }
    for (unsigned i = idle_looks(mine); i != 0 && !fits && left != 0; i--) {
        struct heap *heap = idle_next();
        if (heap != mine && large_cache_used(&heap->larges) && lock_try(&heap->lock)) {
            fits = flush_larges(heap, units, most, least, &left);
            lock_give(&heap->lock);
        }
    }
}

/* How many pages slabs may hold before free ones are purged again, and slabs_returned() when this was set. Relaxed:
 * they may be a little off. */
static _Atomic size_t peak_level;
static _Atomic size_t peak_returned;

/* The pages that seem to be resident, without those of tables. */
static size_t resident_pages(void) {
    const size_t held = holding_held() / OS_PAGE;
    const size_t absent = slabs_absent();
    return held > absent ? held - absent : 0;
}

/* If memory is about to exceed its peak, flushes what the thread's heap has cached, so that slabs can use it: large
 * blocks, up to a fraction of memory, and the depot if it has PEAK_MIN_PAGES. Then not again before memory has grown by
 * as much, because the blocks may be needed again. */
static void flush_before_peak(struct heap *heap) {
    static _Atomic size_t level; /* relaxed, as peak_level */
    const size_t resident = resident_pages();
    if (resident < atomic_load_explicit(&level, memory_order_relaxed)) {
        return;
    }
    lock_take(&heap->lock);
    large_cache_decay(&heap->larges, os_coarse_ms(), FLUSHED_LARGES);
    const size_t units = resident / FLUSH_SHARE * OS_PAGE >> UNIT_SHIFT;
    size_t flushed = (large_cache_flush_units(&heap->larges, units) << UNIT_SHIFT) / OS_PAGE;
    const size_t stored = depot_bytes(&heap->depot) / OS_PAGE;
    if (stored >= PEAK_MIN_PAGES) {
        depot_flush(heap);
        flushed += stored;
    }
    lock_give(&heap->lock);
    atomic_store_explicit(&level, resident + max_size(flushed, PEAK_MIN_PAGES), memory_order_relaxed);
}

void upkeep_before_peak(struct heap *heap, size_t units) {
    flush_before_peak(heap);
    const size_t level = atomic_load_explicit(&peak_level, memory_order_relaxed);
    const size_t present = slabs_present();
    if (present < level) {
        return;
    }
    const uint64_t now_ms = os_coarse_ms();
    if (!os_single_threaded()) { /* with one thread there are hardly any */
        abandoned_drop_empty();
    }
    if (idle_reclaim_for(heap, now_ms, units) || idle_take_empty(heap, units)) {
        return;
    }
    const size_t step = min_size(max_size(present / PEAK_SHARE, PEAK_MIN_PAGES), PASS_PAGES / 2);
    const unsigned most = (unsigned)(2 * step);
    unsigned purged = page_purge_others(heap, now_ms, true, most);
    for (unsigned size_class = 0; size_class < SIZE_CLASSES && purged < most; size_class++) {
        purged += page_purge_abandoned(size_class, now_ms, 0, most - purged);
    }
    if (purged < most) {
        purged += page_purge_heap(heap, now_ms, 0, most - purged);
    }
    if (purged < most) {
        purged += page_purge_others(heap, now_ms, false, most - purged);
    }
    const size_t returned = slabs_returned();
    const size_t in_vain = returned - atomic_exchange_explicit(&peak_returned, returned, memory_order_relaxed);
    const size_t next =
        purged >= step ? level + in_vain + purged / PEAK_RISE : present - min_size(purged, present) + step;
    atomic_store_explicit(&peak_level, next, memory_order_relaxed);
}
