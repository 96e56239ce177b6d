#include "stats.h"

#include <string.h>

#include "heap.h"
#include "huge.h"
#include "large.h"
#include "live_map.h"
#include "magazine.h"
#include "metadata.h"
#include "os/os.h"
#include "root.h"
#include "slab.h"
#include "window.h"

_Static_assert(SIZE_CLASSES <= MEMS_SIZE_CLASSES, "the public structure has room for every class");

static size_t smaller(size_t a, size_t b) {
    return a < b ? a : b;
}

/* A slab's slots by state. Its heap's thread may be at work: each number is cut so that they add up all the same. */
static void add_slab(struct mems_engine_stats *stats, const struct slab *slab, unsigned size_class) {
    struct mems_class_stats *of = &stats->classes[size_class];
    size_t free = smaller(slab_free_slots(slab), slab->slots);
    size_t live = smaller(slab_count_live(slab), slab->slots - free);
    bool fresh = atomic_load_explicit(&slab->fresh, memory_order_relaxed);
    size_t untouched = fresh ? smaller(slab->slots - smaller(slab_used(slab), slab->slots), free) : 0;
    of->slabs++;
    of->slots += slab->slots;
    of->live += live;
    of->free += free;
    of->cached += slab->slots - free - live;
    stats->untouched += untouched * of->size;
    stats->free += (free - untouched) * of->size;
    stats->slack += ((size_t)slab->span.units << UNIT_SHIFT) - slab->slots * of->size;
}

static void add_large(struct mems_engine_stats *stats, const struct large *large) {
    if (!live_test(window_address(large->span.first))) {
        stats->cached += (size_t)large->span.units << UNIT_SHIFT;
        return;
    }
    size_t size = large_size(large);
    stats->large_blocks++;
    stats->large_bytes += size;
    stats->slack += ((size_t)large->span.units << UNIT_SHIFT) - size;
}

/* Adds what starts at a unit, and returns its units. */
static size_t add_span(struct mems_engine_stats *stats, size_t unit) {
    uint32_t entry = page_map_load(unit);
    const struct span *span = window.spans[unit];
    if (entry_is_slab(entry)) {
        add_slab(stats, CONTAINER_OF(span, struct slab, span), entry_class(entry));
        return span->units;
    }
    if (entry == UNIT_LARGE) {
        add_large(stats, CONTAINER_OF(span, struct large, span));
        return span->units;
    }
    if (entry == UNIT_DIRTY || entry == UNIT_PURGING) {
        stats->dirty += UNIT;
    } else if (entry == UNIT_FRESH) {
        stats->fresh += UNIT;
    } else {
        stats->accessible -= UNIT; /* lost to another mapping */
    }
    return 1;
}

/* Of a table, what has been touched at the most. */
static size_t in_pages(size_t bytes) {
    return round_up(bytes, OS_PAGE);
}

static void walk_window(struct mems_engine_stats *stats) {
    lock_take(&spans.lock);
    stats->accessible = window.units_area.accessible;
    for (size_t unit = 0; unit < spans.top;) {
        unit += add_span(stats, unit);
    }
    stats->window = window.units_area.size;
    stats->fresh += window.units_area.accessible - (spans.top << UNIT_SHIFT);
    stats->metadata += in_pages(spans.top * sizeof *window.page_map) + in_pages(spans.top * sizeof *window.spans) +
                       in_pages(spans.top * sizeof *window.inbox_links) + in_pages(spans.top * LIVE_MAP_BYTES);
    stats->purges = spans.purges;
    stats->purged_bytes = spans.purged_units << UNIT_SHIFT;
    lock_give(&spans.lock);
}

/* With check=deferred a block in a magazine has its live bit set: the magazines say how many those are. */
static void move_cached(struct mems_engine_stats *stats, const struct heap *heap) {
    for (unsigned size_class = 0; size_class < SIZE_CLASSES && !heap->checks_every; size_class++) {
        size_t cached = smaller(magazine_count(heap, size_class), stats->classes[size_class].live);
        stats->classes[size_class].live -= cached;
        stats->classes[size_class].cached += cached;
    }
}

static uint64_t counter(const _Atomic uint64_t *of) {
    return atomic_load_explicit(of, memory_order_relaxed);
}

static void walk_heaps(struct mems_engine_stats *stats) {
    lock_take(&heaps.lock);
    for (uint32_t id = 1; id <= heaps.made; id++) {
        const struct heap *heap = heap_of(id);
        move_cached(stats, heap);
        stats->refills += counter(&heap->counters.refills);
        stats->flushes += counter(&heap->counters.flushes);
        stats->remote_frees += counter(&heap->counters.remote_frees);
        stats->adoptions += counter(&heap->counters.adoptions);
    }
    stats->metadata += in_pages((heaps.made + 1) * sizeof *window.heaps);
    stats->threads = heaps.in_use;
    stats->heaps_made = heaps.made;
    lock_give(&heaps.lock);
}

static void sum_classes(struct mems_engine_stats *stats) {
    stats->live = stats->large_bytes;
    for (unsigned size_class = 0; size_class < SIZE_CLASSES; size_class++) {
        const struct mems_class_stats *of = &stats->classes[size_class];
        stats->live += of->live * of->size;
        stats->cached += of->cached * of->size;
    }
}

void stats_collect(struct mems_engine_stats *stats) {
    memset(stats, 0, sizeof *stats);
    stats->version = MEMS_ENGINE_STATS_VERSION;
    stats->class_count = SIZE_CLASSES;
    if (root_ready()) {
        for (unsigned size_class = 0; size_class < SIZE_CLASSES; size_class++) {
            stats->classes[size_class].size = size_classes[size_class].size;
        }
        walk_window(stats);
        walk_heaps(stats);
        sum_classes(stats);
        lock_take(&metadata.lock);
        stats->metadata += in_pages(metadata.used);
        lock_give(&metadata.lock);
        lock_take(&huge_table.lock);
        stats->huge_blocks = huge_table.live.count;
        stats->huge_bytes = huge_table.bytes;
        lock_give(&huge_table.lock);
    }
    stats->pages_moved = counter(&mems_root.pages_moved);
    stats->failures = counter(&mems_root.failures);
    struct os_usage usage;
    os_usage(&usage);
    stats->resident = usage.resident;
    stats->minor_faults = usage.minor_faults;
    stats->major_faults = usage.major_faults;
}
