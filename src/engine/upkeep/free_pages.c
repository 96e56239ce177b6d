#include "free_pages.h"

#include "engine/heaps/heap.h"
#include "engine/memory/spans.h"
#include "engine/slabs/abandoned.h"
#include "engine/tables/size_class.h"
#include "idle.h"

/* Slabs of a heap that are examined each time. */
#define PASS_SLABS 256u

/* How many heaps are searched for idle ones with free pages each time. */
#define PEAK_HEAPS 256u

unsigned free_pages_purge_heap(struct heap *heap, uint64_t now_ms, uint64_t age_ms, unsigned most) {
    unsigned purged = 0;
    bool more = true;
    for (unsigned slabs = PASS_SLABS; more && slabs != 0 && purged < most && lock_try(&heap->lock); slabs--) {
        more = heap_purge_oldest(heap, now_ms, age_ms, most - purged, &purged);
        lock_give(&heap->lock);
    }
    return purged;
}

unsigned free_pages_purge_abandoned(unsigned size_class, uint64_t now_ms, uint64_t age_ms, unsigned most) {
    unsigned purged = 0;
    while (purged < most && abandoned_purge_oldest(size_class, now_ms, age_ms, most - purged, &purged)) {
        continue;
    }
    return purged;
}

uint64_t free_pages_age_ms(void) {
    return atomic_load_explicit(&spans.decay_ms, memory_order_relaxed) / 2;
}

void free_pages_purge_aged(struct heap *heap, uint64_t now_ms) {
    unsigned purged = free_pages_purge_heap(heap, now_ms, free_pages_age_ms(), PASS_PAGES);
    heap->purged_class = (uint8_t)((heap->purged_class + 1) % SIZE_CLASSES);
    if (purged < PASS_PAGES) {
        free_pages_purge_abandoned(heap->purged_class, now_ms, free_pages_age_ms(), PASS_PAGES - purged);
    }
}

/* Whether a heap may have free pages. A wrong answer does no harm. */
static RACY_READER bool has_aging(const struct heap *heap) {
    return heap->aging.next != &heap->aging;
}

unsigned free_pages_purge_others(const struct heap *mine, uint64_t now_ms, bool idle, unsigned most) {
    unsigned purged = 0;
    unsigned left = idle_looks(mine);
    for (unsigned i = (unsigned)min_size(heaps_made(), PEAK_HEAPS); i != 0 && left != 0 && purged < most; i--) {
        struct heap *heap = idle_next();
        if (heap != mine && has_aging(heap) && idle_now(heap, now_ms) == idle) {
            purged += free_pages_purge_heap(heap, now_ms, 0, most - purged);
            left--;
        }
    }
    return purged;
}
