#include "stats.h"

#include <string.h>

#include "engine/heaps/cached_blocks.h"
#include "engine/heaps/hardened_heap.h"
#include "engine/heaps/hardened_larges.h"
#include "engine/heaps/heap.h"
#include "engine/memory/harden_guards.h"
#include "engine/memory/huge.h"
#include "engine/memory/huge_pages.h"
#include "engine/memory/large.h"
#include "engine/root/root.h"
#include "engine/samples/sample.h"
#include "engine/slabs/slab.h"
#include "engine/tables/live_map.h"
#include "engine/tables/metadata.h"
#include "engine/tables/window.h"
#include "os/os.h"

_Static_assert(SIZE_CLASSES <= MEMS_SIZE_CLASSES, "the public structure has room for every class");

static uint64_t counter(const _Atomic uint64_t *of) {
    return atomic_load_explicit(of, memory_order_relaxed);
}

/* If a heap's thread ends meanwhile, plain stores clear its counters. */
RACY_READER static uint32_t freed_remotely(const struct heap *heap, unsigned size_class) {
    return atomic_load_explicit(&heap->classes[size_class].remote, memory_order_relaxed);
}

/* Cached blocks, and remote frees (modulo 2^32), over all heaps that have a thread. */
static void count_cached(struct mems_engine_stats *stats, uint32_t *remote, size_t *large_blocks) {
    struct mems_class_stats *classes = stats->classes;
    for (uint32_t id = 1; id <= heaps_made(); id++) {
        const struct heap *heap = heap_of(id);
        if (atomic_load_explicit(&heap->inbox, memory_order_relaxed) == INBOX_CLOSED) {
            continue;
        }
        for (unsigned size_class = 0; size_class < SIZE_CLASSES; size_class++) {
            const size_t detained = hardened_detained(heap, size_class);
            classes[size_class].cached += cached_count(heap, size_class) + detained;
            stats->quarantined += detained * size_classes[size_class].size;
            remote[size_class] += freed_remotely(heap, size_class);
        }
        const size_t kept = hardened_larges(heap, large_blocks);
        stats->cached += kept;
        stats->quarantined += kept;
        *large_blocks += large_cache_count(&heap->larges);
        stats->cached += large_cache_units(&heap->larges) << UNIT_SHIFT;
    }
}

/* Threads may be at work: each number is clamped so that the sums still hold. */
static void count_class(struct mems_engine_stats *stats, unsigned size_class, uint32_t remote) {
    struct mems_class_stats *of = &stats->classes[size_class];
    size_t free = 0;
    size_t untouched = 0;
    for (unsigned row = 0; row < SLAB_COUNT_ROWS; row++) {
        const struct slab_counts *counts = &slab_counts[row][size_class];
        of->slabs += atomic_load_explicit(&counts->slabs, memory_order_relaxed);
        free += atomic_load_explicit(&counts->free, memory_order_relaxed);
        untouched += atomic_load_explicit(&counts->untouched, memory_order_relaxed);
        remote += (uint32_t)atomic_load_explicit(&counts->remote, memory_order_relaxed);
    }
    of->slots = of->slabs * size_classes[size_class].slots;
    of->free = min_size(free, of->slots);
    /* Below 0: a collection was seen, but not all of its frees. */
    of->cached += (int32_t)remote > 0 ? remote : 0;
    of->cached = min_size(of->cached, of->slots - of->free);
    of->live = of->slots - of->free - of->cached;
    untouched = min_size(untouched, of->free);
    stats->live += of->live * of->size;
    stats->cached += of->cached * of->size;
    stats->untouched += untouched * of->size;
    stats->free += (of->free - untouched) * of->size;
}

/* The part of a table that can have been touched. */
static size_t in_pages(size_t bytes) {
    return round_up(bytes, OS_PAGE);
}

static size_t units_of(const struct mems_engine_stats *stats) {
    return stats->live + stats->cached + stats->free + stats->untouched;
}

/* The spans of small samples: blocks, freed ones, and empty cells. */
static void count_samples(struct mems_engine_stats *stats) {
    size_t rest;
    samples_cells(&stats->sampled_blocks, &stats->sampled_bytes, &rest);
    stats->live += stats->sampled_bytes;
    stats->cached += rest;
    stats->quarantined += rest;
}

/* Large blocks are units that are neither in slabs nor cached; slack is the rest of the units in use. */
static void count_window(struct mems_engine_stats *stats, size_t large_cached) {
    size_t slabs = 0;
    for (unsigned size_class = 0; size_class < SIZE_CLASSES; size_class++) {
        slabs += stats->classes[size_class].slabs;
    }
    lock_take(&spans.lock);
    const size_t taken = spans.taken - spans.lost_spans - min_size(guarded_table.spans, spans.taken - spans.lost_spans);
    const size_t in_use = spans.live_units << UNIT_SHIFT;
    stats->accessible = window.units_area.accessible - (spans.lost_units << UNIT_SHIFT);
    stats->dirty = (spans.dirty_units + spans.purging.units) << UNIT_SHIFT;
    stats->purges = spans.purges;
    stats->purged_bytes = spans.purged_units << UNIT_SHIFT;
    const size_t top = spans.top;
    lock_give(&spans.lock);
    stats->large_blocks = taken - min_size(taken, slabs + large_cached);
    /* Below 0: a free was seen without its allocation. */
    stats->large_bytes = (ptrdiff_t)stats->large_bytes > 0 ? stats->large_bytes : 0;
    stats->large_bytes = min_size(stats->large_bytes, in_use - min_size(in_use, units_of(stats)));
    stats->live += stats->large_bytes;
    stats->slack = in_use - min_size(in_use, units_of(stats));
    stats->window = window.units_area.size;
    stats->fresh = stats->accessible - min_size(stats->accessible, units_of(stats) + stats->slack + stats->dirty);
    stats->metadata += in_pages(top * sizeof *window.page_map) + in_pages(top * sizeof *window.spans) +
                       in_pages(top * sizeof *window.inbox_links) + in_pages(top * LIVE_MAP_BYTES) +
                       (window.records != NULL ? in_pages(top * RECORDS_BYTES) : 0);
}

static void sum_heaps(struct mems_engine_stats *stats) {
    const uint32_t made = heaps_made();
    stats->large_bytes = counter(&heaps.large_bytes);
    for (uint32_t id = 1; id <= made; id++) {
        const struct heap *heap = heap_of(id);
        stats->refills += counter(&heap->counters.refills);
        stats->flushes += counter(&heap->counters.flushes);
        stats->remote_frees += counter(&heap->counters.remote_frees);
        stats->adoptions += counter(&heap->counters.adoptions);
        stats->large_bytes += counter(&heap->counters.large_bytes);
    }
    stats->metadata += in_pages((made + 1) * sizeof *window.heaps);
    stats->threads = atomic_load_explicit(&heaps.in_use, memory_order_relaxed) -
                     atomic_load_explicit(&heaps.arenas, memory_order_relaxed);
    stats->heaps_made = made;
}

static void collect_engine(struct mems_engine_stats *stats) {
    size_t large_cached = 0;
    uint32_t remote[SIZE_CLASSES] = {0};
    for (unsigned size_class = 0; size_class < SIZE_CLASSES; size_class++) {
        /* Zero-size blocks and guards at the ends of slots are slack. */
        stats->classes[size_class].size = size_class != EMPTY_CLASS ? size_class_room(size_class) : 0;
    }
    count_cached(stats, remote, &large_cached);
    for (unsigned size_class = 0; size_class < SIZE_CLASSES; size_class++) {
        count_class(stats, size_class, remote[size_class]);
    }
    sum_heaps(stats);
    count_samples(stats);
    count_window(stats, large_cached);
    lock_take(&metadata.lock);
    stats->metadata += in_pages(metadata.used - metadata.returned);
    lock_give(&metadata.lock);
    lock_take(&huge_table.lock);
    stats->huge_blocks = huge_table.live.count;
    stats->huge_bytes = huge_table.bytes;
    lock_give(&huge_table.lock);
}

void stats_collect(struct mems_engine_stats *stats) {
    memset(stats, 0, sizeof *stats);
    stats->version = MEMS_ENGINE_STATS_VERSION;
    stats->class_count = EMPTY_CLASS;
    if (root_ready()) {
        collect_engine(stats);
    }
    stats->guards = atomic_load_explicit(&guards.set, memory_order_relaxed);
    stats->guards_refused = atomic_load_explicit(&guards.refused, memory_order_relaxed);
    stats->huge_page_bytes = huge_pages_populated();
    stats->pages_moved = counter(&mems_root.pages_moved);
    stats->failures = counter(&mems_root.failures);
    struct os_usage usage;
    os_usage(&usage);
    stats->resident = usage.resident;
    stats->minor_faults = usage.minor_faults;
    stats->major_faults = usage.major_faults;
}
