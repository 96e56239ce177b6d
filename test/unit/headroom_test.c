/*
 * headroom_test.c - large blocks that grow: where they move to, by copying or by their pages, and what they keep behind
 * them meanwhile.
 */
#include "support/fresh.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>

#include "engine/heaps/heap.h"
#include "engine/memory/huge.h"
#include "engine/memory/large.h"
#include "engine/memory/span.h"
#include "engine/root/root.h"
#include "engine/upkeep/trim.h"
#include "os/os.h"
#include "support/engine_heap.h"
#include "support/engine_locked.h"
#include "support/marked.h"
#include "support/thread.h"

#define STEP UNIT
#define VECTORS 8u

static struct marked vectors[VECTORS];

static void grow(struct marked *vector, size_t size) {
    vector->memory = engine_realloc("test", vector->memory, size);
    CHECK(vector->memory != NULL);
    CHECK(marked_intact(vector, vector->size < size ? vector->size : size));
    vector->size = size;
    marked_fill(vector);
}

static bool is_ample(const struct marked *vector) {
    return large_of(vector->memory)->ample;
}

static size_t units_of(const struct marked *vector) {
    return large_of(vector->memory)->span.units;
}

/* It outgrows its slot by a little, and gets one for a quarter more. */
static void a_small_block_that_grows_slowly_moves_seldom(void) {
    unsigned moves = 0;
    void *block = engine_alloc(1000);
    for (size_t size = 1000; size < 30000; size += size / 64 + 1) {
        void *before = block;
        block = engine_realloc("test", block, size);
        moves += block != before;
    }
    CHECK_AT_MOST(moves, 20); /* some 45 classes */
}

/* All in turn, so that none can grow in place for long; how often one moved. */
static unsigned grow_all(size_t from, size_t end) {
    unsigned moves = 0;
    for (size_t size = from; size <= end; size += STEP) {
        for (unsigned i = 0; i < VECTORS; i++) {
            const void *before = vectors[i].memory;
            grow(&vectors[i], size);
            moves += before != NULL && before != vectors[i].memory;
        }
    }
    return moves;
}

static void free_all(void) {
    for (unsigned i = 0; i < VECTORS; i++) {
        engine_free(vectors[i].memory);
        vectors[i].memory = NULL;
    }
}

static void vectors_that_grow_in_turn_move_seldom(void) {
    unsigned moves = grow_all(STEP, 256 * STEP);
    CHECK_AT_MOST(moves, VECTORS * 16);
    CHECK_VALID();
    free_all();
    check_nothing_left();
}

static void without_limits_on_what_is_held_only(void) {
    grow_all(STEP, 40 * STEP);
    for (unsigned i = 0; i < VECTORS; i++) {
        CHECK(!is_ample(&vectors[i]) && units_of(&vectors[i]) == 40);
    }
    free_all();
    check_nothing_left();
}

/* A vector that has moved, and has headroom. */
static struct marked *ample_vector(size_t units) {
    grow(&vectors[0], units * STEP);
    grow(&vectors[1], STEP); /* in the way */
    grow(&vectors[0], units * STEP + 1);
    CHECK(is_ample(&vectors[0]) && units_of(&vectors[0]) > units + 1);
    return &vectors[0];
}

static void headroom_goes_back_when_memory_is_short(void) {
    const struct marked *vector = ample_vector(20);
    upkeep_reclaim_all(heap_mine);
    CHECK(!is_ample(vector));
    CHECK_EQUAL(units_of(vector), 21);
    CHECK_VALID();
    grow(&vectors[0], 30 * STEP);
    free_all();
    check_nothing_left();
}

static void headroom_ends_when_the_block_shrinks(void) {
    const struct marked *vector = ample_vector(20);
    grow(&vectors[0], 19 * STEP);
    CHECK(!is_ample(vector));
    CHECK_EQUAL(units_of(vector), 19);
    CHECK_VALID();
    free_all();
    check_nothing_left();
}

static void a_block_with_headroom_is_freed_and_used_again_whole(void) {
    const size_t units = units_of(ample_vector(20));
    free_all();
    CHECK_VALID();
    vectors[0] = (struct marked){.size = 0};
    grow(&vectors[0], units * STEP);
    CHECK(!is_ample(&vectors[0]));
    upkeep_reclaim_all(heap_mine);
    CHECK_EQUAL(units_of(&vectors[0]), units);
    free_all();
    check_nothing_left();
}

/* How many pages of memory are present. */
static size_t present(const unsigned char *memory, size_t size) {
    unsigned char pages[40 * STEP / 4096];
    size_t count = 0;
    CHECK(size <= 40 * STEP && mincore((void *)(uintptr_t)memory, size, pages) == 0);
    for (size_t i = 0; i < size / 4096; i++) {
        count += pages[i] & 1;
    }
    return count;
}

/* A used place of 150 units, for a growing vector of 100 units; `others` more units are in use. */
static void grow_into_used_memory(size_t others) {
    struct marked used = {.size = 0};
    grow(&vectors[0], 100 * STEP);
    grow(&vectors[3], STEP); /* in the way */
    grow(&used, 150 * STEP);
    grow(&vectors[1], others * STEP);
    memset(used.memory, 1, used.size);
    const void *place = used.memory;
    engine_free(used.memory);
    if (others > 1) {
        grow(&vectors[2], 200 * STEP); /* more than ever */
    }
    grow(&vectors[0], 100 * STEP + 1);
    CHECK(vectors[0].memory == place && is_ample(&vectors[0]));
}

static void headroom_holds_no_memory_where_the_process_needs_more_than_ever(void) {
    grow_into_used_memory(2);
    CHECK_EQUAL(present(vectors[0].memory + 101 * STEP, 20 * STEP), 0);
    free_all();
    check_nothing_left();
}

static void headroom_keeps_its_memory_where_as_much_was_needed_before(void) {
    needs_large_blocks_again();
    grow_into_used_memory(1);
    CHECK(present(vectors[0].memory + 101 * STEP, 20 * STEP) > 0);
    free_all();
    check_nothing_left();
}

/* The old place has no page left, and the new one has them all: so nothing was there twice. */
static void blocks_grow_across_the_border_of_huge_ones_by_their_pages(void) {
    vectors[1].memory = NULL;
    grow(&vectors[0], HUGE_MIN - 10 * STEP);
    grow(&vectors[1], STEP); /* in the way */
    uint64_t moved = mems_root.pages_moved;
    grow(&vectors[0], HUGE_MIN + STEP);
    CHECK(window_holds(vectors[0].memory));
    CHECK(mems_root.pages_moved == moved + 1 || os_move_pages(NULL, NULL, 0, &(bool){false}) == ENOSYS);
    CHECK_VALID();
    free_all();
    CHECK_AT_MOST(spans.dirty_units, HUGE_MIN / UNIT / 2);
    check_nothing_left();
}

static void huge_blocks_shrink_across_the_border_by_their_pages(void) {
    uint64_t moved = mems_root.pages_moved;
    vectors[0].memory = engine_alloc(HUGE_MIN * 2);
    vectors[0].size = HUGE_MIN * 2;
    marked_fill(&vectors[0]);
    CHECK(!window_holds(vectors[0].memory));
    grow(&vectors[0], HUGE_MIN / 4);
    CHECK(window_holds(vectors[0].memory));
    CHECK(mems_root.pages_moved == moved + 1 || os_move_pages(NULL, NULL, 0, &(bool){false}) == ENOSYS);
    CHECK_VALID();
    engine_free(vectors[0].memory);
    check_nothing_left();
}

static void what_a_program_has_advised_of_a_huge_block_stays_there(void) {
    unsigned char *other = engine_alloc(HUGE_MIN);
    vectors[0].memory = engine_alloc(HUGE_MIN * 2);
    vectors[0].size = HUGE_MIN * 2;
    marked_fill(&vectors[0]);
    engine_advised(vectors[0].memory + HUGE_MIN, 4096);
    CHECK(huge_advised(vectors[0].memory) && !huge_advised(other));
    uint64_t moved = mems_root.pages_moved;
    grow(&vectors[0], HUGE_MIN / 4);
    CHECK_EQUAL(mems_root.pages_moved, moved);
    engine_free(vectors[0].memory);
    engine_free(other);
    check_nothing_left();
}

static _Atomic bool stop;

static void *cut(void *unused) {
    (void)unused;
    while (!atomic_load(&stop)) {
        larges_cut_headroom();
    }
    return NULL;
}

/* Grows, shrinks and frees while another thread takes the headroom away. */
static void headroom_may_go_at_any_time(void) {
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, cut, NULL) == 0);
    for (unsigned i = 0; i < scaled(3000); i++) {
        struct marked *vector = &vectors[random_below(&fresh_random, VECTORS)];
        if (random_below(&fresh_random, 5) == 0) {
            engine_free(vector->memory);
            *vector = (struct marked){.mark = i};
        } else {
            grow(vector, vector->size * random_below(&fresh_random, 14) / 10 + STEP);
        }
    }
    atomic_store(&stop, true);
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK_VALID();
    free_all();
    check_nothing_left();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        FRESH(vectors_that_grow_in_turn_move_seldom),
        FRESH(a_small_block_that_grows_slowly_moves_seldom),
        FRESH_WITH(without_limits_on_what_is_held_only, "limit=1g"),
        FRESH(headroom_goes_back_when_memory_is_short),
        FRESH(headroom_ends_when_the_block_shrinks),
        FRESH(a_block_with_headroom_is_freed_and_used_again_whole),
        FRESH(headroom_holds_no_memory_where_the_process_needs_more_than_ever),
        FRESH(headroom_keeps_its_memory_where_as_much_was_needed_before),
        FRESH(blocks_grow_across_the_border_of_huge_ones_by_their_pages),
        FRESH(huge_blocks_shrink_across_the_border_by_their_pages),
        FRESH(what_a_program_has_advised_of_a_huge_block_stays_there),
        FRESH(headroom_may_go_at_any_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
