/*
 * engine_heap.h - the engine as an allocator of the kit.
 */
#pragma once

#include "allocator.h"
#include "child.h"
#include "engine/engine.h"
#include "engine/memory/large_cache.h"
#include "engine/reports/stats.h"
#include "engine/samples/sample.h"
#include "engine/tables/size_class.h"
#include "os/os.h"
#include "valid/engine_valid.h"

static uint8_t engine_heap_joined[SMALL_MAX / GRANULE + 1];

/* Most tests need blocks of certain classes, from the first one on. Joined families are tested in test/api/mems_test.c,
 * test/unit/engine_test.c and test/unit/size_class_test.c. */
__attribute__((constructor)) static void engine_heap_split_families(void) {
    for (size_t i = 0; i < sizeof engine_heap_joined; i++) {
        engine_heap_joined[i] = size_class_of_granules[i];
    }
    size_class_split_all();
}

/* All families are as at the start of a process. No other thread may be running. */
static inline void engine_heap_join_families(void) {
    for (size_t i = 0; i < sizeof engine_heap_joined; i++) {
        size_class_of_granules[i] = engine_heap_joined[i];
    }
}

static inline void *engine_heap_alloc(void *heap, size_t size) {
    (void)heap;
    return engine_alloc(size);
}

static inline void *engine_heap_alloc_zeroed(void *heap, size_t size) {
    (void)heap;
    return engine_alloc_zeroed(1, size);
}

static inline void *engine_heap_alloc_aligned(void *heap, size_t alignment, size_t size) {
    (void)heap;
    return engine_alloc_aligned(alignment, size);
}

static inline void *engine_heap_resize(void *heap, void *block, size_t size) {
    (void)heap;
    return engine_realloc("realloc", block, size);
}

static inline void engine_heap_free(void *heap, void *block) {
    (void)heap;
    engine_free(block);
}

static inline void engine_heap_free_sized(void *heap, void *block, size_t size, size_t alignment) {
    (void)heap;
    engine_free_sized("free_sized", block, size, alignment);
}

static inline size_t engine_heap_usable_size(void *heap, void *block) {
    (void)heap;
    return engine_usable_size("malloc_usable_size", block);
}

static inline unsigned char *engine_heap_memory(void *heap, void *block) {
    (void)heap;
    return block;
}

static inline void engine_heap_trim(void *heap, size_t pad) {
    (void)heap, (void)pad;
    engine_trim();
}

static inline bool engine_heap_valid(void *heap, const char **why) {
    (void)heap;
    return engine_valid(why);
}

static const struct allocator allocator = {
    .alloc = engine_heap_alloc,
    .alloc_zeroed = engine_heap_alloc_zeroed,
    .alloc_aligned = engine_heap_alloc_aligned,
    .resize = engine_heap_resize,
    .free = engine_heap_free,
    .free_sized = engine_heap_free_sized,
    .usable_size = engine_heap_usable_size,
    .memory = engine_heap_memory,
    .trim = engine_heap_trim,
    .valid = engine_heap_valid,
    .option_set = engine_option_set,
    .usual = "sample=0", /* samples take memory too, at random: tests count their own */
};

/* As if the process had needed large blocks of every size again after it freed some, so it caches any number. */
static inline void needs_large_blocks_again(void) {
    for (unsigned bin = 0; bin < LARGE_BINS; bin++) {
        atomic_store_explicit(&large_demands[bin], DEMAND_PROVEN, memory_order_relaxed);
    }
}

/* A sanitizer's shadow exceeds any limit, and needs mappings itself. */
static inline void not_beside_a_sanitizer(void) {
    struct os_usage usage;
    os_usage(&usage);
    if (usage.mapped >> 38) {
        child_cannot();
    }
}

/* Checks that only free memory is left once all other threads have ended and all blocks are freed, sampled ones that
 * stay inaccessible aside. */
static inline void check_nothing_left(void) {
    struct mems_engine_stats stats;
    samples_reclaim();
    engine_trim();
    CHECK_VALID();
    stats_collect(&stats);
    CHECK_EQUAL(stats.live, 0);
    CHECK_EQUAL(stats.cached, 0);
    CHECK(stats.dirty == 0 || !os_purge_zeroes());
    CHECK_EQUAL(stats.large_blocks, 0);
    CHECK_EQUAL(stats.huge_blocks, 0);
    CHECK_AT_MOST(stats.threads, 1);
    CHECK(stats.slack + stats.free + stats.untouched + stats.dirty + stats.fresh == stats.accessible);
}
