/*
 * large_test.c - large blocks: what they hold through every change of size or place, and when they read as zero.
 */
#include "fresh.h"

#include <errno.h>

#include "engine/block.h"
#include "engine/large.h"
#include "engine/span.h"
#include "os/os.h"
#include "trial.h"

#define UNDECAYED "decay_ms=4294967295"

/* Words of a block, one in each KiB and the last, are marked with its number and their place. */
static uint64_t mark(uint64_t number, size_t at) {
    return number << 40 | (at + 1);
}

static uint64_t *word(void *block, size_t at) {
    return (uint64_t *)block + at / sizeof(uint64_t);
}

static size_t last_word(size_t size) {
    return round_down(size, sizeof(uint64_t)) - sizeof(uint64_t);
}

static void fill(void *block, size_t size, uint64_t number) {
    for (size_t at = 0; at + sizeof(uint64_t) <= size; at += KIB) {
        *word(block, at) = mark(number, at);
    }
    *word(block, last_word(size)) = mark(number, last_word(size));
}

static void check_filled(void *block, size_t size, uint64_t number) {
    for (size_t at = 0; at + sizeof(uint64_t) <= size; at += KIB) {
        CHECK_EQUAL(*word(block, at), mark(number, at));
    }
}

static void check_zero(const void *block, size_t size) {
    const uint64_t *words = block;
    for (size_t i = 0; i < size / sizeof *words; i++) {
        CHECK_EQUAL(words[i], 0);
    }
}

static void *alloc(size_t size, size_t alignment, bool *zero) {
    CHECK(root_start());
    void *block = large_alloc(size, alignment, zero);
    CHECK(block != NULL && (uintptr_t)block % alignment == 0 && (uintptr_t)block % UNIT == 0);
    CHECK(live_test(block));
    CHECK(large_size(large_of(block)) >= size && large_size(large_of(block)) < size + OS_PAGE);
    return block;
}

struct model {
    void *block;
    size_t size;
};

/* Allocated, resized in place and freed at random: contents last, and what is said to be zero is. */
static void blocks_keep_what_they_hold(void) {
    enum { BLOCKS = 24 };
    struct model models[BLOCKS] = {0};
    size_t bytes = 0;
    for (uint64_t step = 0; step < 3000; step++) {
        size_t i = random_below(&fresh_random, BLOCKS);
        struct model *model = &models[i];
        size_t size = SMALL_MAX + 1 + random_below(&fresh_random, 20 * UNIT);
        if (model->block == NULL) {
            bool zero;
            model->block = alloc(size, UNIT << random_below(&fresh_random, 5), &zero);
            model->size = size;
            if (zero) {
                check_zero(model->block, large_size(large_of(model->block)));
            }
        } else {
            check_filled(model->block, model->size, i);
            if (random_below(&fresh_random, 2)) {
                size_t kept = size < model->size ? size : model->size;
                bool resized = large_resize(model->block, size);
                CHECK(resized || size > model->size);
                model->size = resized ? size : model->size;
                check_filled(model->block, resized ? kept : model->size, i);
            } else {
                large_free(model->block);
                model->block = NULL;
            }
        }
        if (model->block != NULL) {
            fill(model->block, model->size, i);
        }
        CHECK_VALID();
    }
    for (size_t i = 0; i < BLOCKS; i++) {
        bytes += models[i].block != NULL ? round_up(models[i].size, UNIT) : 0;
    }
    CHECK_EQUAL(spans.live_units, bytes / UNIT);
}

static void a_block_grows_where_it_is_when_what_follows_is_free(void) {
    bool zero;
    char *a = alloc(4 * UNIT, 1, &zero);
    char *b = alloc(4 * UNIT, 1, &zero);
    char *c = alloc(4 * UNIT, 1, &zero);
    CHECK(b == a + 4 * UNIT && c == b + 4 * UNIT);
    fill(a, 4 * UNIT, 1);
    fill(c, 4 * UNIT, 3);
    CHECK(large_resize(a, 4 * UNIT - 100));
    CHECK(!large_resize(a, 4 * UNIT + 1));
    large_free(b);
    CHECK(engine_realloc("realloc", a, 8 * UNIT) == a);
    CHECK(!large_resize(a, 8 * UNIT + 1));
    CHECK(large_resize(c, 100 * UNIT)); /* nothing follows the last one */
    fill(c, 100 * UNIT, 3);
    check_filled(a, 4 * UNIT - 100, 1);
    CHECK(large_resize(a, UNIT));
    CHECK(alloc(7 * UNIT, 1, &zero) == a + UNIT); /* what was cut off */
    check_filled(a, UNIT, 1);
    check_filled(c, 100 * UNIT, 3);
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

static void a_resize_under_want_of_memory_changes_nothing(void) {
    bool zero;
    void *block = alloc(40 * UNIT, 1, &zero);
    size_t live = spans.live_units;
    fill(block, 40 * UNIT, 1);
    CHECK(!large_resize(block, 65 * UNIT));
    CHECK(large_alloc(30 * UNIT, 1, &zero) == NULL);
    CHECK_EQUAL(large_size(large_of(block)), 40 * UNIT);
    CHECK_EQUAL(spans.live_units, live);
    check_filled(block, 40 * UNIT, 1);
    CHECK_VALID();
}

/* A block with another one behind it, so that it cannot grow in place. */
static void *hemmed_in(size_t size) {
    bool zero;
    void *block = alloc(size, 1, &zero);
    size_t behind = window_unit(block) + large_of(block)->span.units;
    fill(block, size, 7);
    while (behind == spans.top || entry_is_free(page_map_load(behind))) {
        alloc(UNIT, 1, &zero);
    }
    return block;
}

/* Page moves have been tried out, so that the next mremap is the engine's. */
static void end_trial(void) {
    engine_free(engine_realloc("realloc", hemmed_in(MIB), 2 * MIB));
}

static void check_moved(void *old, size_t size, void *moved, size_t moved_size) {
    CHECK(moved != NULL && moved != old);
    check_filled(moved, size, 7);
    fill(moved, moved_size, 8);
    check_filled(moved, moved_size, 8);
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

/* Where the new place has pages already, these are used, and the block's bytes copied. */
static void a_dirty_place_is_copied_to(void) {
    bool zero;
    end_trial();
    void *block = hemmed_in(2 * MIB);
    void *place = alloc(4 * MIB, 1, &zero);
    alloc(UNIT, 1, &zero);
    fill(place, 4 * MIB, 9);
    engine_free(place);
    uint64_t pages_moved = mems_root.pages_moved;
    void *moved = engine_realloc("realloc", block, 4 * MIB);
    CHECK(moved == place);
    check_moved(block, 2 * MIB, moved, 4 * MIB);
    CHECK_EQUAL(mems_root.pages_moved, pages_moved);
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

static void a_place_that_is_lost_in_a_move_is_given_up(void) {
    if (!pages_can_move()) {
        fresh_cannot();
    }
    end_trial();
    void *block = hemmed_in(2 * MIB);
    os_inject(OS_CALL_MREMAP, 0, 1, ENOMEM);
    os_inject(OS_CALL_MMAP, 0, 1, ENOMEM);
    check_moved(block, 2 * MIB, engine_realloc("realloc", block, 4 * MIB), 4 * MIB);
    CHECK_EQUAL(spans.lost_units, 4 * MIB / UNIT);
}

static void a_large_block_freed_twice(void) {
    engine_free(engine_alloc(MIB)); /* so that more of the window is in use */
    void *block = engine_alloc(MIB);
    engine_alloc(MIB);
    engine_free(block);
    engine_free(block);
}

static void the_inside_of_a_large_block(void) {
    engine_free((char *)engine_alloc(MIB) + UNIT);
}

static void the_first_granule_within_a_large_block(void) {
    large_free((char *)engine_alloc(MIB) + GRANULE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        FRESH_WITH(blocks_keep_what_they_hold, UNDECAYED),
        FRESH_WITH(blocks_keep_what_they_hold, "decay_ms=0"),
        FRESH(a_block_grows_where_it_is_when_what_follows_is_free),
        FRESH_WITH(calloc_clears_what_was_used_before, UNDECAYED),
        FRESH_WITH(calloc_clears_what_was_used_before, "decay_ms=0"),
        FRESH_WITH(a_resize_under_want_of_memory_changes_nothing, "window=4m"),
        FRESH(a_block_that_moves_keeps_what_it_holds),
        FRESH(a_dirty_place_is_copied_to),
        FRESH(pages_that_cannot_move_are_copied),
        FRESH(a_place_that_is_lost_in_a_move_is_given_up),
        FRESH_FAULT(a_large_block_freed_twice, UNDECAYED, "): double free: in free memory of the window"),
        FRESH_FAULT(the_inside_of_a_large_block, "",
                    ": not a block's start: 65536 bytes into a large block of 1048576"),
        FRESH_FAULT(the_first_granule_within_a_large_block, "", ": not a block's start: 16 bytes into a large block"),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
