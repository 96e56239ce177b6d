#include "page_purge.h"

#include <limits.h>

#include "base/bits.h"
#include "engine/heaps/heap.h"
#include "engine/memory/spans.h"
#include "engine/slabs/abandoned.h"
#include "engine/tables/size_class.h"
#include "idle.h"

/* How many slabs of a heap are examined each time. */
#define PASS_SLABS 256u

/* Finishes a purge, with no lock held while the system works. Returns how many pages were purged. */
static unsigned finish(struct slab_purge *purge) {
    if (purge->pages == 0) {
        return 0;
    }
    slab_purge_pages(purge);
    heap_purge_end(purge);
    return count_bits(purge->pages);
}

unsigned page_purge_heap(struct heap *heap, uint64_t now_ms, uint64_t age_ms, unsigned most) {
    struct slab_purge purge;
    unsigned purged = 0;
    bool more = true;
    for (unsigned slabs = PASS_SLABS; more && slabs != 0 && purged < most && lock_try(&heap->lock); slabs--) {
        more = heap_purge_begin(heap, now_ms, age_ms, most - purged, &purge);
        lock_give(&heap->lock);
        purged += more ? finish(&purge) : 0;
    }
    return purged;
}

unsigned page_purge_abandoned(unsigned size_class, uint64_t now_ms, uint64_t age_ms, unsigned most) {
    struct slab_purge purge;
    unsigned purged = 0;
    while (purged < most && abandoned_purge_begin(size_class, now_ms, age_ms, most - purged, &purge)) {
        purged += finish(&purge);
    }
    return purged;
}

uint64_t page_purge_age_ms(void) {
    return atomic_load_explicit(&spans.decay_ms, memory_order_relaxed) / 2;
}

void page_purge_aged(struct heap *heap, uint64_t now_ms) {
    unsigned purged = page_purge_heap(heap, now_ms, page_purge_age_ms(), PASS_PAGES);
    heap->purged_class = (uint8_t)((heap->purged_class + 1) % SIZE_CLASSES);
    if (purged < PASS_PAGES) {
        page_purge_abandoned(heap->purged_class, now_ms, page_purge_age_ms(), PASS_PAGES - purged);
    }
}

/* Whether a heap may have free pages. A wrong answer does no harm. */
static RACY_READER bool has_aging(const struct heap *heap) {
    return !heap->bare && heap->aging.next != &heap->aging;
}

unsigned page_purge_others(const struct heap *mine, uint64_t now_ms, bool idle, unsigned most) {
    unsigned purged = 0;
    unsigned left = idle_looks(mine);
    for (unsigned i = (unsigned)min_size(heaps_made(), PEAK_HEAPS); i != 0 && left != 0 && purged < most; i--) {
        struct heap *heap = idle_next();
        if (heap != mine && has_aging(heap) && idle_now(heap, now_ms) == idle) {
            purged += page_purge_heap(heap, now_ms, 0, most - purged);
            left--;
        }
    }
    return purged;
}

/* Tries each slab once: what is freed meanwhile stays, and so does what the system refuses to purge. */
static size_t purge_all_abandoned(unsigned size_class, uint64_t now_ms) {
    struct slab_purge purge;
    size_t purged = 0;
    size_t slabs = abandoned_age(size_class, now_ms);
    for (; slabs != 0 && abandoned_purge_begin(size_class, now_ms, 0, UINT_MAX, &purge); slabs--) {
        purged += finish(&purge);
    }
    return purged;
}

static size_t purge_all_of(struct heap *heap, uint64_t now_ms) {
    struct slab_purge purge;
    size_t purged = 0;
    lock_take(&heap->lock);
    for (size_t slabs = heap_age(heap, now_ms); slabs != 0 && heap_purge_begin(heap, now_ms, 0, UINT_MAX, &purge);
         slabs--) {
        lock_give(&heap->lock);
        purged += finish(&purge);
        lock_take(&heap->lock);
    }
    lock_give(&heap->lock);
    return purged;
}

size_t page_purge_all(void) {
    const uint64_t now_ms = os_coarse_ms();
    size_t purged = 0;
    for (unsigned size_class = 0; size_class < SIZE_CLASSES; size_class++) {
        purged += purge_all_abandoned(size_class, now_ms);
    }
    const uint32_t made = heaps_made();
    for (uint32_t id = 1; id <= made; id++) {
        purged += purge_all_of(heap_of(id), now_ms);
    }
    return purged;
}
