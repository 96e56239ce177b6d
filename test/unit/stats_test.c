/*
 * stats_test.c - the statistics against a model of what is allocated, against themselves, and against the kernel.
 */
#include "support/fresh.h"

#include <unistd.h>

#include <sys/mman.h>

#include "engine/heaps/cached_blocks.h"
#include "engine/heaps/heap.h"
#include "engine/memory/huge.h"
#include "engine/memory/large.h"
#include "engine/reports/stats.h"
#include "os/os.h"
#include "support/engine_heap.h"
#include "support/thread.h"

#define BLOCKS 3000u

struct model {
    void *blocks[BLOCKS];
    size_t sizes[BLOCKS]; /* what may be written of them; 0: not allocated */
};

static struct model model;
static struct mems_engine_stats stats;

static size_t larges_kept(void) {
    size_t bytes = 0;
    for (unsigned bin = 0; bin < LARGE_BINS && heap_mine != &heap_none; bin++) {
        const struct list *blocks = &heap_mine->larges.bins[bin];
        for (const struct list *link = blocks->next; link != blocks; link = link->next) {
            bytes += large_cached_at(link)->span.units * UNIT;
        }
        bytes += large_ready_units(atomic_load(&heap_mine->larges.ready[bin])) * UNIT;
    }
    return bytes;
}

/* The rows add up, the classes add up to the rows, and every class is made of its slots. */
static void check_equations(void) {
    size_t live = stats.large_bytes + stats.sampled_bytes;
    size_t cached = larges_kept();
    size_t free_bytes = 0;
    CHECK_EQUAL(stats.version, MEMS_ENGINE_STATS_VERSION);
    CHECK_EQUAL(stats.class_count, EMPTY_CLASS);
    CHECK_EQUAL(stats.live + stats.slack + stats.cached + stats.free + stats.untouched + stats.dirty + stats.fresh,
                stats.accessible);
    CHECK_AT_MOST(stats.accessible, stats.window);
    for (unsigned i = 0; i < EMPTY_CLASS; i++) {
        const struct mems_class_stats *of = &stats.classes[i];
        CHECK_EQUAL(of->size, size_classes[i].size);
        CHECK_EQUAL(of->slots, of->slabs * size_classes[i].slots);
        CHECK_EQUAL(of->slots, of->live + of->cached + of->free);
        live += of->live * of->size;
        cached += of->cached * of->size;
        free_bytes += of->free * of->size;
    }
    CHECK_EQUAL(stats.live, live);
    CHECK_EQUAL(stats.cached, cached);
    CHECK_EQUAL(stats.free + stats.untouched, free_bytes);
}

static void check_live(void) {
    size_t live[SIZE_CLASSES] = {0};
    size_t large_blocks = 0;
    size_t large_bytes = 0;
    size_t huge_blocks = 0;
    size_t huge_bytes = 0;
    for (size_t i = 0; i < BLOCKS; i++) {
        if (model.sizes[i] >= HUGE_MIN) {
            huge_blocks++;
            huge_bytes += model.sizes[i];
        } else if (model.sizes[i] > SMALL_MAX && !entry_is_slab(page_map_load(window_unit(model.blocks[i])))) {
            large_blocks++;
            large_bytes += model.sizes[i];
        } else if (model.sizes[i] > SMALL_MAX) {
            live[size_class_of_medium(model.sizes[i])]++;
        } else if (model.sizes[i]) {
            live[size_class_of(model.sizes[i])]++;
        }
    }
    for (unsigned i = 0; i < EMPTY_CLASS; i++) {
        CHECK_EQUAL(stats.classes[i].live, live[i]);
        CHECK_EQUAL(stats.classes[i].cached, heap_mine == &heap_none ? 0 : cached_count(heap_mine, i));
    }
    CHECK_EQUAL(stats.large_blocks, large_blocks);
    CHECK_EQUAL(stats.large_bytes, large_bytes);
    CHECK_EQUAL(stats.huge_blocks, huge_blocks);
    CHECK_EQUAL(stats.huge_bytes, huge_bytes);
}

/* A random block is allocated, and some of it written, or freed. */
static void change(void) {
    size_t i = random_below(&fresh_random, BLOCKS);
    if (model.sizes[i]) {
        engine_free(model.blocks[i]);
        model.sizes[i] = 0;
        return;
    }
    size_t size = random_below(&fresh_random, (size_t)16 << random_below(&fresh_random, 15));
    size = random_below(&fresh_random, 2000) ? size : 70 * MIB;
    model.blocks[i] = engine_alloc(size);
    model.sizes[i] = engine_usable_size("malloc_usable_size", model.blocks[i]);
    if (random_below(&fresh_random, 2)) {
        memset(model.blocks[i], 1, size < MIB ? size : MIB);
    }
}

static void the_numbers_agree_with_a_model_and_with_each_other(void) {
    for (int step = 0; step < 30000; step++) {
        change();
        if (step % 300 == 0) {
            stats_collect(&stats);
            check_equations();
            check_live();
        }
        if (step % 7000 == 6999) {
            engine_trim();
            stats_collect(&stats);
            check_equations();
            check_live();
            CHECK_EQUAL(stats.cached, 0);
            CHECK(!os_purge_zeroes() || stats.dirty == 0);
        }
    }
    stats_collect(&stats);
    CHECK_EQUAL(stats.threads, 1);
    CHECK_EQUAL(stats.heaps_made, 1);
    CHECK_EQUAL(stats.refills, heap_mine->counters.refills);
    CHECK_EQUAL(stats.flushes, heap_mine->counters.flushes);
    CHECK(stats.refills > 0 && stats.flushes > 0);
    CHECK_EQUAL(stats.purged_bytes, spans.purged_units * UNIT);
}

/* Statistics are counters: however large the heap, they read neither its blocks nor the tables of its units. */
static void the_heap_is_not_walked(void) {
    const struct area *const walked[] = {&window.units_area, &window.live_map_area, &window.page_map_area,
                                         &window.spans_area};
    for (int step = 0; step < 10000; step++) {
        change();
    }
    stats_collect(&stats);
    for (unsigned i = 0; i < 4; i++) {
        CHECK_EQUAL(mprotect((void *)walked[i]->start, walked[i]->accessible, PROT_NONE), 0);
    }
    stats_collect(&stats);
    for (unsigned i = 0; i < 4; i++) {
        CHECK_EQUAL(mprotect((void *)walked[i]->start, walked[i]->accessible, PROT_READ | PROT_WRITE), 0);
    }
    check_equations();
    check_live();
}

static void an_idle_engine_has_empty_rows(void) {
    stats_collect(&stats);
    check_equations();
    CHECK_EQUAL(stats.live + stats.slack + stats.cached + stats.free + stats.untouched + stats.dirty, 0);
    CHECK_EQUAL(stats.threads, 0);
    CHECK_EQUAL(stats.huge_blocks + stats.large_blocks, 0);
    CHECK(heap_mine == &heap_none);
}

static void *alloc_and_free(void *unused) {
    (void)unused;
    for (int step = 0; step < 3000; step++) {
        change();
    }
    return NULL;
}

static void ended_threads_are_counted_and_their_blocks_are_live(void) {
    for (uint64_t generation = 0; generation < 10; generation++) {
        thread_run(alloc_and_free, NULL);
        stats_collect(&stats);
        check_equations();
        check_live();
        CHECK_EQUAL(stats.cached, 0);
        CHECK_EQUAL(stats.threads, 0);
        CHECK_EQUAL(stats.heaps_made, 1);
    }
    CHECK(stats.adoptions > 0);
    CHECK(stats.remote_frees > 0);
}

/* Bytes of the window that are resident, and of its pages, in the kernel's own size. */
static size_t resident_in_window(size_t page) {
    static unsigned char resident[(size_t)1 << 20];
    size_t bytes = window.units_area.accessible;
    CHECK(bytes / page <= sizeof resident);
    if (mincore(window_address(0), bytes, resident) != 0) {
        child_cannot();
    }
    size_t pages = 0;
    for (size_t i = 0; i < bytes / page; i++) {
        pages += resident[i] & 1u;
    }
    return pages * page;
}

static bool pages_are_made_huge(void) {
    char line[64] = "";
    FILE *file = fopen("/sys/kernel/mm/transparent_hugepage/enabled", "r");
    bool read = file != NULL && fgets(line, sizeof line, file) != NULL;
    return read && strstr(line, "[always]") != NULL;
}

/* Of the rows that say that they are touched; a slab's last touched page, or a large block's, may reach beyond. */
static void what_is_resident_has_been_touched(void) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    if (pages_are_made_huge() || !os_purge_zeroes()) {
        child_cannot();
    }
    for (int step = 0; step < 40000; step++) {
        change();
        if (step % 10000 == 9999) {
            engine_trim();
        }
        if (step % 1000 == 999) {
            stats_collect(&stats);
            size_t spans_in_use = stats.large_blocks;
            for (unsigned i = 0; i < EMPTY_CLASS; i++) {
                spans_in_use += stats.classes[i].slabs;
            }
            CHECK_AT_MOST(resident_in_window(page),
                          stats.live + stats.slack + stats.cached + stats.free + stats.dirty + spans_in_use * page);
        }
    }
}

/* And what is written through is resident: the rows do not promise less than there is. */
static void what_is_live_and_written_is_resident(void) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t written = 0;
    for (size_t i = 0; i < BLOCKS; i++) {
        size_t size = 1 + random_below(&fresh_random, 20 * KIB);
        model.blocks[i] = engine_alloc(size);
        model.sizes[i] = engine_usable_size("malloc_usable_size", model.blocks[i]);
        memset(model.blocks[i], 1, model.sizes[i]);
        written += model.sizes[i];
    }
    stats_collect(&stats);
    CHECK_EQUAL(stats.live, written);
    CHECK(resident_in_window(page) >= stats.live);
}

static void failures_are_counted(void) {
    stats_collect(&stats);
    uint64_t failures = stats.failures;
    CHECK(engine_alloc(SIZE_MAX) == NULL);
    CHECK(engine_alloc_zeroed(SIZE_MAX / 2, 3) == NULL);
    CHECK(engine_alloc_aligned(64, SIZE_MAX - 10) == NULL);
    stats_collect(&stats);
    CHECK_EQUAL(stats.failures, failures + 3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        IN_BOTH_MODES(the_numbers_agree_with_a_model_and_with_each_other),
        FRESH(the_heap_is_not_walked),
        FRESH(an_idle_engine_has_empty_rows),
        IN_BOTH_MODES(ended_threads_are_counted_and_their_blocks_are_live),
        FRESH(what_is_resident_has_been_touched),
        FRESH(what_is_live_and_written_is_resident),
        FRESH(failures_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
