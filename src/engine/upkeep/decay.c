#include "decay.h"

#include <limits.h>

#include "before_growth.h"
#include "engine/heaps/cached_blocks.h"
#include "engine/heaps/depot.h"
#include "engine/heaps/magazine.h"
#include "engine/heaps/magazine_budget.h"
#include "engine/heaps/remote.h"
#include "engine/heaps/unused_heaps.h"
#include "engine/memory/span.h"
#include "engine/slabs/slab.h"
#include "idle.h"
#include "os/os.h"
#include "page_purge.h"

/* How often a heap collects units of classes that it is not using. */
#define COLLECT_MS 10u

/* After this long without a pass, the next slow call that reads the clock does one, because the thread may have slept.
 * One in this many reads the clock, and all do while there are dirty spans. */
#define PASS_LATE_MS 50u
#define CALLS_PER_CLOCK 8u

/* How often a thread looks for idle heaps. */
#define LOOK_MS 5u

void upkeep_decay(void) {
    if (spans_age()) {
        span_decay(os_coarse_ms());
    }
}

/* In each decay time, flushes the cached blocks of classes that needed neither a refill nor room, and shrinks the
 * magazines of those that needed only room. */
static void rest_classes(struct heap *heap, uint64_t now_ms) {
    if (now_ms - heap->rested_ms < atomic_load_explicit(&spans.decay_ms, memory_order_relaxed)) {
        return;
    }
    heap->rested_ms = now_ms;
    for (unsigned size_class = 0; size_class < SIZE_CLASSES; size_class++) {
        struct heap_class *of = &heap->classes[size_class];
        if (of->idle && heap->bottoms[size_class] != NULL) {
            cached_flush_class(heap, size_class);
            magazine_dispose(heap, size_class);
        } else if (!of->refilled && of->stock.count == 0) {
            magazine_shrink(heap, size_class);
        }
        of->idle = true;
        of->refilled = false;
    }
    magazine_budget_return(heap);
}

/* Reclaims an idle heap, and purges free pages of its slabs. Returns whether there was anything. */
static bool reclaim_if_idle(struct heap *heap, uint64_t now_ms) {
    if (!idle_now(heap, now_ms)) {
        return false;
    }
    const bool reclaimed = idle_reclaim_if(heap, now_ms);
    return page_purge_heap(heap, now_ms, page_purge_age_ms(), PASS_PAGES) != 0 || reclaimed;
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

void upkeep_pass(struct heap *heap, uint64_t now_ms) {
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
    page_purge_aged(heap, now_ms);
    unused_heaps_decay(now_ms);
    magazine_budget_set();
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
        unused_heaps_decay(now_ms);
        reclaim_idle(NULL, now_ms);
    }
}

static void pass_if_due(struct heap *heap, uint64_t now_ms) {
    if (now_ms != heap->passed_ms) {
        upkeep_pass(heap, now_ms);
    }
}

void upkeep(struct heap *heap) {
    const bool counted = upkeep_count(heap);
    if (!counted && !spans_age() &&
        atomic_load_explicit(&heap->slow_calls, memory_order_relaxed) % CALLS_PER_CLOCK != 0) {
        return;
    }
    const uint64_t now_ms = os_coarse_ms();
    if (counted || now_ms - heap->passed_ms >= PASS_LATE_MS || heap->larges.decaying) {
        pass_if_due(heap, now_ms);
    }
    span_decay(now_ms); /* each call purges its share of what is due */
}

void upkeep_counted(struct heap *heap) {
    const uint64_t now_ms = os_coarse_ms();
    pass_if_due(heap, now_ms);
    span_decay(now_ms);
}

void upkeep_beat(struct heap *heap) {
    (void)upkeep_count(heap);
    pass_if_due(heap, os_coarse_ms());
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
        page_purge_abandoned(size_class, now_ms, page_purge_age_ms(), UINT_MAX);
    }
    unused_heaps_decay(now_ms);
    magazine_budget_set();
    return busy || slabs_present() != before;
}
