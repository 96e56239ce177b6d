/*
 * large_test.c - large blocks: their contents through every change of size or place, and when they read as zero.
 */
#include "support/fresh.h"

#include <errno.h>

#include "engine/memory/huge.h"
#include "engine/memory/large.h"
#include "engine/root/root.h"
#include "engine/slabs/lookup.h"
#include "engine/tables/page_map.h"
#include "os/os.h"
#include "support/engine_heap.h"
#include "support/kernel.h"
#include "support/marked.h"
#include "support/thread.h"

#define UNDECAYED "decay_ms=4294967295"

static struct marked numbered(void *memory, size_t size, uint64_t number) {
    return (struct marked){.memory = memory, .size = size, .mark = number << 40, .stride = KIB};
}

static struct marked filled(void *memory, size_t size, uint64_t number) {
    struct marked block = numbered(memory, size, number);
    marked_fill(&block);
    return block;
}

static void check_zero(const void *block, size_t size) {
    const uint64_t *words = block;
    for (size_t i = 0; i < size / sizeof *words; i++) {
        CHECK_EQUAL(words[i], 0);
    }
}

static void free_large(void *block) {
    struct large *large = large_end(block);
    CHECK(large != NULL && large == large_of(block) && large_end(block) == NULL);
    large_destroy(large);
}

static void *alloc(size_t size, size_t alignment, bool *zero) {
    CHECK(root_start());
    void *block = large_alloc(size, alignment, zero);
    CHECK(block != NULL && (uintptr_t)block % alignment == 0 && (uintptr_t)block % UNIT == 0);
    CHECK(large_is_live(large_of(block)));
    CHECK(large_size(large_of(block)) >= size && large_size(large_of(block)) < size + OS_PAGE);
    return block;
}

/* Allocated, resized in place and freed at random: contents are intact, and what is reported to be zero is. */
static void blocks_keep_what_they_hold(void) {
    enum { BLOCKS = 24 };
    struct marked blocks[BLOCKS] = {0};
    size_t bytes = 0;
    for (uint64_t step = 0; step < affordable(3000); step++) {
        size_t i = random_below(&fresh_random, BLOCKS);
        struct marked *block = &blocks[i];
        size_t size = SMALL_MAX + 1 + random_below(&fresh_random, 20 * UNIT);
        if (block->memory == NULL) {
            bool zero;
            *block = numbered(alloc(size, UNIT << random_below(&fresh_random, 5), &zero), size, step);
            if (zero) {
                check_zero(block->memory, large_size(large_of(block->memory)));
            }
        } else {
            CHECK(marked_intact(block, SIZE_MAX));
            if (random_below(&fresh_random, 2)) {
                bool resized = large_resize(block->memory, size);
                CHECK(resized || size > block->size);
                CHECK(marked_intact(block, resized ? size : SIZE_MAX));
                block->size = resized ? size : block->size;
            } else {
                free_large(block->memory);
                block->memory = NULL;
            }
        }
        if (block->memory != NULL) {
            marked_fill(block);
        }
        CHECK_VALID();
    }
    for (size_t i = 0; i < BLOCKS; i++) {
        bytes += blocks[i].memory != NULL ? round_up(blocks[i].size, UNIT) : 0;
    }
    CHECK_EQUAL(spans.live_units, bytes / UNIT);
}

static void a_block_grows_where_it_is_when_what_follows_is_free(void) {
    bool zero;
    char *a = alloc(4 * UNIT, 1, &zero);
    char *b = alloc(4 * UNIT, 1, &zero);
    char *c = alloc(4 * UNIT, 1, &zero);
    CHECK(b == a + 4 * UNIT && c == b + 4 * UNIT);
    struct marked first = filled(a, 4 * UNIT, 1);
    filled(c, 4 * UNIT, 3);
    CHECK(large_resize(a, 4 * UNIT - 100));
    CHECK(!large_resize(a, 4 * UNIT + 1));
    free_large(b);
    CHECK(engine_realloc("realloc", a, 8 * UNIT) == a);
    CHECK(!large_resize(a, 8 * UNIT + 1));
    CHECK(large_resize(c, 100 * UNIT)); /* nothing follows the last one */
    struct marked last = filled(c, 100 * UNIT, 3);
    CHECK(marked_intact(&first, 4 * UNIT - 100));
    CHECK(large_resize(a, UNIT));
    CHECK(alloc(7 * UNIT, 1, &zero) == a + UNIT); /* what was cut off */
    CHECK(marked_intact(&first, UNIT));
    CHECK(marked_intact(&last, SIZE_MAX));
    CHECK_VALID();
}

static void calloc_clears_what_was_used_before(void) {
    for (int round = 0; round < 20; round++) {
        size_t size = SMALL_MAX + 1 + random_below(&fresh_random, 30 * UNIT);
        char *block = engine_alloc_zeroed(1, size);
        check_zero(block, size);
        memset(block, 1, size);
        engine_free(block);
        if (round % 5 == 0) {
            engine_trim();
        }
    }
}

static void a_resize_that_finds_no_memory_changes_nothing(void) {
    bool zero;
    void *block = alloc(40 * UNIT, 1, &zero);
    size_t live = spans.live_units;
    struct marked whole = filled(block, 40 * UNIT, 1);
    CHECK(!large_resize(block, 65 * UNIT));
    CHECK(large_alloc(30 * UNIT, 1, &zero) == NULL);
    CHECK_EQUAL(large_size(large_of(block)), 40 * UNIT);
    CHECK_EQUAL(spans.live_units, live);
    CHECK(marked_intact(&whole, SIZE_MAX));
    CHECK_VALID();
}

/* Until nothing is left of the window or the system. */
static void use_up_all_memory(void) {
    os_inject(OS_CALL_MMAP, 0, UINT64_MAX, ENOMEM);
    for (size_t size = UNIT; size != 0; size /= 2) {
        while (engine_alloc(size) != NULL) {
            continue;
        }
    }
}

/* If there is no other place for it, a block is cut in place, and what is cut off is free; or it stays as it is. */
static void shrinking_never_fails(void) {
    char *small = engine_alloc(30000);
    char *single = engine_alloc(UNIT);
    char *large = engine_alloc(10 * UNIT);
    char *huge = engine_alloc(HUGE_MIN);
    struct mems_engine_stats stats;
    CHECK(small != NULL && single != NULL && large != NULL && huge != NULL);
    memset(small, 1, 3000);
    memset(large, 2, 3000);
    memset(huge, 3, 3 * UNIT);
    use_up_all_memory();
    engine_stats(&stats);
    uint64_t failures = stats.failures;
    errno = EDOM;
    CHECK(engine_realloc("realloc", small, 3000) == small);
    CHECK(engine_realloc("realloc", single, 0) == single);
    CHECK(engine_realloc("realloc", large, 3000) == large);
    CHECK(engine_realloc("realloc", huge, 10 * UNIT) == huge);
    CHECK_EQUAL(errno, EDOM);
    CHECK_EQUAL(engine_usable_size("malloc_usable_size", large), OS_PAGE);
    CHECK_EQUAL(engine_usable_size("malloc_usable_size", huge), 10 * UNIT);
    engine_stats(&stats);
    CHECK_EQUAL(stats.failures, failures);
    CHECK_VALID();
    CHECK(small[2999] == 1 && large[2999] == 2 && huge[3 * UNIT - 1] == 3);
    CHECK(engine_alloc(9 * UNIT) == large + UNIT);
    CHECK(engine_realloc("realloc", small, 40000) == NULL);
    CHECK_EQUAL(errno, ENOMEM);
    engine_free_sized("free_sized", small, 3000, 0);
    engine_free_sized("free_sized", large, 3000, 0);
    engine_free_sized("free_sized", huge, 10 * UNIT, 0);
    CHECK_VALID();
}

/* A block with another one behind it, so that it cannot grow in place. */
static void *hemmed_in(size_t size) {
    bool zero;
    void *block = alloc(size, 1, &zero);
    size_t behind = window_unit(block) + large_of(block)->span.units;
    filled(block, size, 7);
    while (behind == spans.top || entry_is_free(page_map_load(behind))) {
        alloc(UNIT, 1, &zero);
    }
    return block;
}

/* Moving pages has been tried out, so the next mremap is the engine's. */
static void end_trial(void) {
    engine_free(engine_realloc("realloc", hemmed_in(MIB), 2 * MIB));
}

static void check_moved(void *old, size_t size, void *moved, size_t moved_size) {
    CHECK(moved != NULL && moved != old);
    struct marked before = numbered(moved, size, 7);
    CHECK(marked_intact(&before, SIZE_MAX));
    struct marked after = filled(moved, moved_size, 8);
    CHECK(marked_intact(&after, SIZE_MAX));
    CHECK_VALID();
}

static void a_block_that_moves_keeps_what_it_holds(void) {
    bool pages = pages_can_move();
    for (size_t size = SMALL_MAX + 1; size < 8 * MIB; size = size * 3 / 2) {
        uint64_t moved_before = mems_root.pages_moved;
        size_t lengths[] = {size, round_up(size, OS_PAGE)};
        for (int i = 0; i < 2; i++) {
            void *block = hemmed_in(lengths[i]);
            engine_trim(); /* the new place has no pages */
            void *moved = engine_realloc("realloc", block, 3 * size);
            check_moved(block, lengths[i], moved, 3 * size);
            void *vacated = engine_alloc_zeroed(1, lengths[i]);
            check_zero(vacated, lengths[i]);
            engine_free(vacated);
            engine_free(moved);
        }
        CHECK_EQUAL(mems_root.pages_moved - moved_before, pages && size >= MIB ? 2 : 0);
    }
}

/* If the new place has pages already, these are used, and the block's bytes copied. */
static void a_dirty_place_is_copied_to(void) {
    needs_large_blocks_again();
    bool zero;
    end_trial();
    void *block = hemmed_in(2 * MIB);
    void *place = alloc(4 * MIB, 1, &zero);
    alloc(UNIT, 1, &zero);
    filled(place, 4 * MIB, 9);
    engine_free(place);
    uint64_t pages_moved = mems_root.pages_moved;
    void *moved = engine_realloc("realloc", block, 4 * MIB);
    CHECK(moved == place);
    check_moved(block, 2 * MIB, moved, 4 * MIB);
    CHECK_EQUAL(mems_root.pages_moved, pages_moved);
}

static char *almost_zero(size_t size) {
    char *block = hemmed_in(size);
    memset(block, 0, size);
    block[5 * OS_PAGE + 100] = 1;
    return block;
}

static void check_almost_zero(char *block, size_t size) {
    CHECK(block[5 * OS_PAGE + 100] == 1);
    block[5 * OS_PAGE + 100] = 0;
    check_zero(block, size);
}

/* Many blocks, as the kernel's count of resident pages is inexact, and code becomes resident as it runs. */
static void copied_zeros_take_no_memory(void) {
    enum { BLOCKS = 20 };
    const size_t size = 600 * KIB;
    char *blocks[BLOCKS];
    for (int i = 0; i < BLOCKS; i++) {
        blocks[i] = almost_zero(size);
    }
    engine_trim(); /* the new places have no pages */
    const size_t before = resident_bytes();
    for (int i = 0; i < BLOCKS; i++) {
        char *moved = engine_realloc("realloc", blocks[i], 3 * size);
        CHECK(moved != NULL && moved != blocks[i]);
        blocks[i] = moved;
    }
    CHECK(UNDER_TSAN || resident_bytes() <= before + BLOCKS * size / 4); /* what TSan keeps about it takes memory */
    for (int i = 0; i < BLOCKS; i++) {
        check_almost_zero(blocks[i], size);
    }
}

static void zeros_are_copied_over_other_bytes(void) {
    bool zero;
    const size_t size = 600 * KIB;
    char *block = almost_zero(size);
    void *place = alloc(2 * size, 1, &zero);
    alloc(UNIT, 1, &zero);
    filled(place, 2 * size, 9);
    engine_free(place);
    char *moved = engine_realloc("realloc", block, 2 * size);
    CHECK(moved == place);
    check_almost_zero(moved, size);
}

static void pages_that_cannot_move_are_copied(void) {
    end_trial();
    void *block = hemmed_in(2 * MIB);
    uint64_t pages_moved = mems_root.pages_moved;
    os_inject(OS_CALL_MREMAP, 0, UINT64_MAX, EFAULT);
    check_moved(block, 2 * MIB, engine_realloc("realloc", block, 4 * MIB), 4 * MIB);
    CHECK_EQUAL(mems_root.pages_moved, pages_moved);
    CHECK_EQUAL(spans.lost_units, 0);
}

/* After one such loss, the block is copied. */
static void a_place_that_is_lost_in_a_move_is_given_up(void) {
    if (!pages_can_move()) {
        child_cannot();
    }
    end_trial();
    void *block = hemmed_in(2 * MIB);
    os_inject(OS_CALL_MREMAP, 1, UINT64_MAX, ENOMEM); /* the first finds out that the block is one mapping */
    os_inject(OS_CALL_MMAP, 0, UINT64_MAX, ENOMEM);
    check_moved(block, 2 * MIB, engine_realloc("realloc", block, 4 * MIB), 4 * MIB);
    CHECK_EQUAL(spans.lost_units, 4 * MIB / UNIT);
}

static void a_large_block_freed_twice_is_a_fault(void) {
    engine_free(engine_alloc(MIB)); /* so that more of the window is in use */
    void *block = engine_alloc(MIB);
    engine_alloc(MIB);
    engine_free(block);
    engine_free(block);
}

static void freeing_the_inside_of_a_large_block_is_a_fault(void) {
    engine_free((char *)engine_alloc(MIB) + UNIT);
}

static void freeing_the_second_granule_of_a_large_block_is_a_fault(void) {
    engine_free((char *)engine_alloc(MIB) + GRANULE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        FRESH_WITH(blocks_keep_what_they_hold, UNDECAYED),
        FRESH_WITH(blocks_keep_what_they_hold, "decay_ms=0"),
        FRESH(a_block_grows_where_it_is_when_what_follows_is_free),
        FRESH_WITH(calloc_clears_what_was_used_before, UNDECAYED),
        FRESH_WITH(calloc_clears_what_was_used_before, "decay_ms=0"),
        FRESH_WITH(shrinking_never_fails, "window=4m"),
        FRESH_WITH(a_resize_that_finds_no_memory_changes_nothing, "window=4m"),
        FRESH(a_block_that_moves_keeps_what_it_holds),
        FRESH(a_dirty_place_is_copied_to),
        FRESH(copied_zeros_take_no_memory),
        FRESH(zeros_are_copied_over_other_bytes),
        FRESH(pages_that_cannot_move_are_copied),
        FRESH(a_place_that_is_lost_in_a_move_is_given_up),
        FRESH_FAULT(a_large_block_freed_twice_is_a_fault, UNDECAYED,
                    "free(@): double free: a large block of # bytes, cached"),
        FRESH_FAULT(freeing_the_inside_of_a_large_block_is_a_fault, "",
                    "free(@): not a block's start: 65536 bytes into a large block of 1048576 bytes, live"),
        FRESH_FAULT(freeing_the_second_granule_of_a_large_block_is_a_fault, "",
                    "free(@): not a block's start: 16 bytes into a large block of # bytes, live"),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
