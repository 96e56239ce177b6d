#include "upkeep.h"

#include <limits.h>

#include "engine/heaps/depot.h"
#include "engine/heaps/heap.h"
#include "engine/heaps/magazine.h"
#include "engine/heaps/remote.h"
#include "engine/heaps/transfer.h"
#include "engine/memory/span.h"
#include "engine/samples/sample.h"
#include "engine/slabs/abandoned.h"
#include "engine/slabs/slab.h"
#include "engine/tables/holding.h"
#include "engine/tables/metadata.h"
#include "idle.h"
#include "os/os.h"

/* How often a heap collects units of classes that it is not using. */
#define COLLECT_MS 10u

/* Pages of slabs that one pass purges, some 100 microseconds, and slabs that it examines for them. */
#define PASS_PAGES 384u
#define PASS_SLABS 256u

/*
 * Before slabs exceed their peak memory, free pages are purged. The next time is when slabs hold this much more, plus
 * this fraction. If much was purged it is sooner: when they hold more by the pages that were needed again since, and so
 * were purged in vain, plus a fraction of the purged pages.
 */
#define PEAK_MIN_PAGES ((size_t)128)
#define PEAK_SHARE 64u
#define PEAK_RISE 64u

/* Cached large blocks of up to this part of memory are given up for slabs. */
#define FLUSH_SHARE 16u

/* How many heaps are searched for idle ones with free pages each time. */
#define PEAK_HEAPS 256u

/* Memory is short if some thread on the machine waited for memory in this percentage of the last seconds. */
#define PRESSURE_HIGH 10u

/* How often a thread looks for idle heaps. */
#define LOOK_MS 5u

/* Cached large blocks that one call flushes: some 20 microseconds. After each step it checks whether they
 * suffice. */
#define FLUSHED_LARGES 64u
#define LARGES_STEP 8u

/* A heap is swept when its slabs have grown by this much, and by this fraction. */
#define GROWTH_MIN ((size_t)1 << 20)
#define GROWTH_SHARE 8u

/* --- Free pages of slabs ------------------------------------------------------------------------------------------ */

/* What slabs may hold before free pages are purged again, and slabs_returned() at the last time (relaxed: they are a
 * little off). */
static _Atomic size_t peak_level;
static _Atomic size_t peak_returned;

/* Purges aging slabs of a heap until `most` pages are purged, or `slabs` have been examined. Takes the lock anew
 * for each slab, and never waits for it. */
static unsigned purge_heap(struct heap *heap, uint64_t now_ms, uint64_t age_ms, unsigned slabs, unsigned most) {
    unsigned purged = 0;
    bool more = true;
    for (; more && slabs != 0 && purged < most && lock_try(&heap->lock); slabs--) {
        more = heap_purge_oldest(heap, now_ms, age_ms, most - purged, &purged);
        lock_give(&heap->lock);
    }
    return purged;
}

/* The same for abandoned slabs, beginning with one class. */
static unsigned purge_abandoned(unsigned size_class, uint64_t now_ms, uint64_t age_ms, unsigned most) {
    unsigned purged = 0;
    while (purged < most && abandoned_purge_oldest(size_class, now_ms, age_ms, most - purged, &purged)) {
        continue;
    }
    return purged;
}

/* A page is purged when it has been found free twice, half the decay time apart. */
static uint64_t aging_ms(void) {
    return atomic_load_explicit(&spans.decay_ms, memory_order_relaxed) / 2;
}

/* The heap's own slabs, and the abandoned ones of a class. */
static void purge_aged(struct heap *heap, uint64_t now_ms) {
    unsigned purged = purge_heap(heap, now_ms, aging_ms(), PASS_SLABS, PASS_PAGES);
    heap->purged_class = (uint8_t)((heap->purged_class + 1) % SIZE_CLASSES);
    if (purged < PASS_PAGES) {
        purge_abandoned(heap->purged_class, now_ms, aging_ms(), PASS_PAGES - purged);
    }
}

/* Whether a heap may have free pages. A wrong answer does no harm. */
static RACY_READER bool has_aging(const struct heap *heap) {
    return heap->aging.next != &heap->aging;
}

/* Purges slabs of other heaps, in turn: either of idle ones, or of those that are not. */
static unsigned purge_others(const struct heap *mine, uint64_t now_ms, bool idle, unsigned most) {
    unsigned purged = 0;
    unsigned left = idle_looks(mine);
    for (unsigned i = (unsigned)min_size(heaps_made(), PEAK_HEAPS); i != 0 && left != 0 && purged < most; i--) {
        struct heap *heap = idle_next();
        if (heap != mine && has_aging(heap) && idle_now(heap, now_ms) == idle) {
            purged += purge_heap(heap, now_ms, 0, PASS_SLABS, most - purged);
            left--;
        }
    }
    return purged;
}

/* The pages that are resident, as far as is known, without those of tables. */
static size_t resident_pages(void) {
    const size_t held = holding_held() / OS_PAGE;
    const size_t absent = slabs_absent();
    return held > absent ? held - absent : 0;
}

/*
 * If memory is about to exceed its peak, slabs get what the thread's heap has cached: large blocks that are small
 * beside the heap, and the depot if it has as much as PEAK_MIN_PAGES. Not again before memory has grown by as much,
 * because they may be needed again.
 */
static void flush_before_peak(struct heap *heap) {
    static _Atomic size_t level; /* relaxed, as peak_level */
    const size_t resident = resident_pages();
    if (resident < atomic_load_explicit(&level, memory_order_relaxed)) {
        return;
    }
    lock_take(&heap->lock);
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

void upkeep_before_peak(struct heap *heap) {
    flush_before_peak(heap);
    const size_t level = atomic_load_explicit(&peak_level, memory_order_relaxed);
    const size_t present = slabs_present();
    if (present < level) {
        return;
    }
    const uint64_t now_ms = os_coarse_ms();
    const size_t step = min_size(max_size(present / PEAK_SHARE, PEAK_MIN_PAGES), PASS_PAGES / 2);
    const unsigned most = (unsigned)(2 * step);
    unsigned purged = purge_others(heap, now_ms, true, most);
    for (unsigned size_class = 0; size_class < SIZE_CLASSES && purged < most; size_class++) {
        purged += purge_abandoned(size_class, now_ms, 0, most - purged);
    }
    if (purged < most) {
        purged += purge_heap(heap, now_ms, 0, PASS_SLABS, most - purged);
    }
    if (purged < most) {
        purged += purge_others(heap, now_ms, false, most - purged);
    }
    const size_t returned = slabs_returned();
    const size_t in_vain = returned - atomic_exchange_explicit(&peak_returned, returned, memory_order_relaxed);
    const size_t next =
        purged >= step ? level + in_vain + purged / PEAK_RISE : present - min_size(purged, present) + step;
    atomic_store_explicit(&peak_level, next, memory_order_relaxed);
}

/* Reclaims an idle heap, and purges free pages of its slabs. Returns whether there was anything. */
static bool reclaim_if_idle(struct heap *heap, uint64_t now_ms) {
    if (!idle_now(heap, now_ms)) {
        return false;
    }
    const bool reclaimed = idle_reclaim_if(heap, now_ms);
    return purge_heap(heap, now_ms, aging_ms(), PASS_SLABS, PASS_PAGES) != 0 || reclaimed;
}

/* Examines some other heaps, and reclaims the idle ones. */
static void reclaim_idle(const struct heap *mine, uint64_t now_ms) {
    for (unsigned i = idle_looks(mine); i != 0; i--) {
        struct heap *heap = idle_next();
        if (heap != mine) {
            reclaim_if_idle(heap, now_ms);
        }
    }
}

/* --- Decay and flush ---------------------------------------------------------------------------------------------- */

void upkeep_decay(void) {
    if (spans_age()) {
        span_decay(os_coarse_ms());
    }
}

/* Classes that needed neither a refill nor room during the decay time flush their cached blocks; those that needed
 * only room cache fewer from now on. */
static void rest_classes(struct heap *heap, uint64_t now_ms) {
    if (now_ms - heap->rested_ms < atomic_load_explicit(&spans.decay_ms, memory_order_relaxed)) {
        return;
    }
    heap->rested_ms = now_ms;
    for (unsigned size_class = 0; size_class < SIZE_CLASSES; size_class++) {
        struct heap_class *of = &heap->classes[size_class];
        if (of->idle && of->bottom != NULL) {
            transfer_flush_class(heap, size_class);
            magazine_dispose(heap, size_class);
        } else if (!of->refilled && of->stock.count == 0) {
            magazine_shrink(heap, size_class);
        }
        of->idle = true;
        of->refilled = false;
    }
    magazines_return(heap);
}

static void pass(struct heap *heap, uint64_t now_ms) {
    lock_take(&heap->lock);
    heap->passed_ms = now_ms;
    if (now_ms - heap->collected_ms >= COLLECT_MS && !inbox_collect(heap, IDLE_UNITS, true)) {
        heap->collected_ms = now_ms;
    }
    size_t units = depot_decay(heap, now_ms);
    large_cache_decay(&heap->larges, now_ms, FLUSHED_LARGES);
    rest_classes(heap, now_ms);
    lock_give(&heap->lock);
    span_purge(units);
    span_decay(now_ms);
    purge_aged(heap, now_ms);
    magazines_set_budget();
    if (now_ms - heap->looked_ms >= LOOK_MS) {
        heap->looked_ms = now_ms;
        reclaim_idle(heap, now_ms);
    }
}

void upkeep_of_others(void) {
    static _Atomic uint64_t passed_ms; /* relaxed: two passes at once do no harm */
    const uint64_t now_ms = os_coarse_ms();
    if (now_ms - atomic_load_explicit(&passed_ms, memory_order_relaxed) >= LOOK_MS) {
        atomic_store_explicit(&passed_ms, now_ms, memory_order_relaxed);
        span_decay(now_ms);
        reclaim_idle(NULL, now_ms);
    }
}

void upkeep_pass(struct heap *heap) {
    pass(heap, os_coarse_ms());
}

static void pass_if_due(struct heap *heap) {
    const uint64_t now_ms = os_coarse_ms();
    if (now_ms != heap->passed_ms) {
        pass(heap, now_ms);
    }
}

void upkeep(struct heap *heap) {
    if (upkeep_count(heap)) {
        pass_if_due(heap);
    }
    upkeep_decay(); /* each call does its share of what is due */
}

void upkeep_counted(struct heap *heap) {
    pass_if_due(heap);
    upkeep_decay();
}

void upkeep_beat(struct heap *heap) {
    (void)upkeep_count(heap);
    pass_if_due(heap);
}

static void flush_later(struct heap *heap) {
    size_t share = heap->slab_bytes / GROWTH_SHARE;
    heap->flush_at = heap->slab_bytes + (share > GROWTH_MIN ? share : GROWTH_MIN);
}

/*
 * Classes whose magazines had no refill since the last time flush their cached blocks, because one block in a
 * magazine may keep a whole slab from being empty. The last slab of a class stays: a program that allocates and frees
 * in turn needs no refill either.
 */
static bool flush_idle_classes(struct heap *heap) {
    if (heap->slab_bytes < heap->flush_at) {
        return false;
    }
    for (unsigned size_class = 0; size_class < SIZE_CLASSES; size_class++) {
        struct heap_class *of = &heap->classes[size_class];
        if (of->idle) {
            transfer_flush_class(heap, size_class);
        }
        of->idle = true;
    }
    flush_later(heap);
    return true;
}

bool upkeep_before_growth(struct heap *heap) {
    inbox_collect(heap, IDLE_UNITS, true);
    return depot_flush_if_large(heap) || flush_idle_classes(heap);
}

bool upkeep_of_all(void) {
    const uint64_t now_ms = os_coarse_ms();
    const size_t before = slabs_present();
    bool busy = spans_age();
    upkeep_decay();
    const uint32_t made = heaps_made();
    for (uint32_t id = 1; id <= made; id++) {
        busy |= reclaim_if_idle(heap_of(id), now_ms);
    }
    for (unsigned size_class = 0; size_class < SIZE_CLASSES; size_class++) {
        purge_abandoned(size_class, now_ms, aging_ms(), UINT_MAX);
    }
    magazines_set_budget();
    return busy || slabs_present() != before;
}

/* Flushes cached blocks of a heap, under its lock, up to *left. True when there is a dirty span of the kind wanted. */
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

/* --- All heaps ---------------------------------------------------------------------------------------------------- */

static void flush_own(struct heap *heap) {
    lock_take(&heap->lock);
    transfer_flush(heap);
    inbox_collect(heap, SIZE_MAX, true);
    heap_drop_empty(heap);
    flush_later(heap);
    lock_give(&heap->lock);
}

/* Threads of other heaps wait for their locks meanwhile if they take a slow path. */
static void reclaim_all(struct heap *mine) {
    larges_cut_headroom();
    if (mine != NULL) {
        flush_own(mine);
    }
    uint32_t made = heaps_made();
    for (uint32_t id = 1; id <= made; id++) {
        struct heap *heap = heap_of(id);
        if (heap != mine) {
            lock_take(&heap->lock);
            idle_reclaim(heap, SIZE_MAX);
            lock_give(&heap->lock);
        }
    }
}

/* If memory or addresses are limited, the dirty units may be exactly what is needed. */
void upkeep_reclaim_all(struct heap *mine) {
    reclaim_all(mine);
    if (holding_limited() || window_is_claimed()) {
        (void)span_purge_all();
    }
}

size_t upkeep_trim(struct heap *mine) {
    magazines_ask_limit();
    reclaim_all(mine);
    size_t pages = abandoned_purge_all();
    uint32_t made = heaps_made();
    for (uint32_t id = 1; id <= made; id++) {
        struct heap *heap = heap_of(id);
        lock_take(&heap->lock);
        pages += heap_purge_all(heap);
        lock_give(&heap->lock);
    }
    (void)samples_trim();
    size_t given = pages * OS_PAGE + span_purge_all();
    spans_trim_descriptors();
    return given + metadata_trim();
}

void upkeep_ask(void) {
    magazines_ask_limit();
    if (os_memory_pressure() >= PRESSURE_HIGH) {
        upkeep_trim(NULL);
    }
}
