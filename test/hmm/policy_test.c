/*
 * policy_test.c - what the heap does to hold little memory without doing it again and again: which freed blocks wait,
 * what small ones are cut from, when the break stays up, and which pages go back below it.
 */
#include "trial.h"

#include <errno.h>
#include <string.h>

#include "hmm/block.h"

#define SMALL ((size_t)200)
#define LARGE ((size_t)4 << 20)

static size_t cached_now(void) {
    return stats_now().cached_blocks;
}

static void merge_at_once(void *unused) {
    (void)unused;
    char *blocks[6];
    for (int i = 0; i < 6; i++) {
        blocks[i] = hmm_alloc(SMALL);
        REQUIRE(i == 0 || blocks[i] == blocks[i - 1] + SMALL + BLOCK_HEADER);
    }
    while (cached_now() > 0) {
        REQUIRE(hmm_alloc(SMALL) != NULL);
    }
    hmm_free("test", blocks[0]);
    REQUIRE(cached_now() == 1); /* the first of its list waits */
    hmm_free("test", blocks[2]);
    REQUIRE(cached_now() == 2); /* its neighbours are used: merging would gain nothing */
    hmm_trim(0);
    REQUIRE(cached_now() == 0);
    hmm_free("test", blocks[4]);
    hmm_free("test", blocks[1]); /* the block before it is free */
    REQUIRE(cached_now() == 1);
    REQUIRE_VALID();
    hmm_trim(0);
    hmm_free("test", blocks[5]);
    REQUIRE(cached_now() == 1); /* the first one waits, whatever is before it */
    REQUIRE_VALID();
}

static void test_blocks_are_merged_at_once_behind_a_free_one(void **state) {
    (void)state;
    expect_success(merge_at_once, NULL);
}

/* However many are freed, the list of a size holds no more than 4 KiB and one block. */
static void fill_quick_list(void *argument) {
    size_t size = *(size_t *)argument;
    void *blocks[300];
    for (int i = 0; i < 300; i++) {
        blocks[i] = hmm_alloc(size);
    }
    for (int i = 300; i > 0; i--) { /* each behind one that is used */
        hmm_free("test", blocks[i - 1]);
    }
    size_t all = stats_now().cached_blocks * block_size_for(size);
    REQUIRE(all >= 4096 && all < 4096 + block_size_for(size));
    REQUIRE_VALID();
}

static void test_quick_lists_are_short(void **state) {
    (void)state;
    for (size_t size = 24; size <= 1032; size += 112) {
        expect_success(fill_quick_list, &size);
    }
}

static void cut_side_by_side(void *unused) {
    (void)unused;
    const size_t sizes[] = {2000, 4072, 2000, 3048, 2000}; /* larger than what is cached */
    char *held[5];
    REQUIRE(hmm_alloc(100) != NULL); /* cut from the last block */
    for (int i = 0; i < 5; i++) {
        held[i] = hmm_alloc(sizes[i]);
    }
    hmm_free("test", held[1]);
    hmm_free("test", held[3]);
    char *blocks[5];
    for (size_t i = 0; i < 5; i++) { /* the smaller hole is filled, the heap's end is not used */
        blocks[i] = hmm_alloc(100 + 100 * i);
        REQUIRE(blocks[i] == (i == 0 ? held[3] : blocks[i - 1] + block_size_for(100 * i)));
        REQUIRE(cached_now() == 0);
        REQUIRE_VALID();
    }
    REQUIRE(hmm_alloc(1032) == blocks[4] + block_size_for(500));
    REQUIRE(hmm_alloc(1032) == held[1]); /* too little is left: the other hole is next */
    REQUIRE(hmm_alloc(600) == held[1] + block_size_for(1032));
    hmm_free("test", blocks[0]);
    hmm_free("test", blocks[1]);
    hmm_trim(0);
    size_t both = block_size_for(100) + block_size_for(200) - BLOCK_HEADER;
    REQUIRE(hmm_alloc(both) == blocks[0]); /* a free block of just the size comes first */
    REQUIRE_VALID();
}

/* What is freed before and behind the block being cut becomes part of it. */
static void merge_with_cut(void *unused) {
    (void)unused;
    char *large[4];
    for (int i = 0; i < 4; i++) {
        large[i] = hmm_alloc(2040);
    }
    char *fits = hmm_alloc(2040);
    REQUIRE(hmm_alloc(2040) != NULL);
    hmm_free("test", large[1]);
    char *small = hmm_alloc(1032);
    REQUIRE(small == large[1]);
    hmm_free("test", large[2]);
    REQUIRE_VALID();
    hmm_free("test", large[0]);
    hmm_free("test", small);
    REQUIRE(hmm_alloc(1032) == small);                  /* it was cached */
    hmm_free("test", hmm_realloc("test", small, 1100)); /* in place, and merged on both sides */
    REQUIRE_VALID();
    hmm_free("test", fits);
    REQUIRE(hmm_alloc(1000) == large[0]);
    REQUIRE(hmm_alloc(1000) == large[0] + block_size_for(1000));
    REQUIRE_VALID();
}

static void test_small_blocks_are_cut_side_by_side_from_one_free_block(void **state) {
    (void)state;
    expect_success(cut_side_by_side, NULL);
    expect_success(merge_with_cut, NULL);
}

/* Blocks of `size` bytes in all come and go: how often the break moves for it. */
static uint64_t moves_for(size_t size, int rounds) {
    uint64_t before = stats_now().break_moves;
    for (int i = 0; i < rounds; i++) {
        hmm_free("test", hmm_alloc(size));
    }
    REQUIRE_VALID();
    return stats_now().break_moves - before;
}

static void come_and_go(void *kind) {
    REQUIRE(hmm_option_set("break", kind) == 0);
    REQUIRE(hmm_alloc(100) != NULL);
    REQUIRE(moves_for((size_t)2 << 20, 100) < 20); /* it stays up */
    REQUIRE(moves_for((size_t)8 << 20, 10) == 20); /* so much never does */
    REQUIRE(stats_now().region < (size_t)1 << 20);
    hmm_free("test", hmm_alloc((size_t)2 << 20));
    hmm_trim(0);
    size_t least = stats_now().region;
    REQUIRE(hmm_trim(0) == 0 && least <= 2 * os_page_size());
}

static void test_break_stays_where_it_is_needed_again(void **state) {
    (void)state;
    expect_success(come_and_go, "real");
    expect_success(come_and_go, "simulated");
}

/* Three large blocks, full, the middle one free, and before the heap's end one that is used. Returns the middle one. */
static char *make_hole(void) {
    char *blocks[3];
    for (int i = 0; i < 3; i++) {
        blocks[i] = hmm_alloc(LARGE);
        memset(blocks[i], 0x5A, LARGE);
    }
    hmm_free("test", blocks[1]);
    return blocks[1];
}

/* The bytes of a free block of LARGE bytes, seen by its next user, that are as they were left. */
static size_t kept(const char *hole) {
    const volatile char *block = hmm_alloc(LARGE);
    REQUIRE(block == hole);
    size_t same = 0;
    for (size_t i = 0; i < LARGE; i++) {
        same += block[i] == 0x5A;
    }
    return same;
}

static void purge(void *kind) {
    REQUIRE(hmm_option_set("break", kind) == 0);
    char *hole = make_hole();
    REQUIRE(hmm_alloc(LARGE + 1000) != NULL);
    REQUIRE_VALID();
    REQUIRE(kept(hole) < 2 * os_page_size());
}

/* The largest free block is the one being cut. */
static void purge_cut(void *kind) {
    REQUIRE(hmm_option_set("break", kind) == 0);
    char *hole = make_hole();
    for (char *small = NULL; small != hole; small = hmm_alloc(1000)) {
        REQUIRE(stats_now().used_blocks < 1000);
    }
    REQUIRE(hmm_alloc(LARGE + 1000) != NULL);
    REQUIRE_VALID();
    const volatile char *page = hole + LARGE / 2;
    REQUIRE(*page == 0);
}

static void purge_in_vain(void *kind) {
    REQUIRE(hmm_option_set("break", kind) == 0);
    char *hole = make_hole();
    os_inject(OS_CALL_MADVISE, 0, UINT64_MAX, EPERM);
    REQUIRE(hmm_alloc(LARGE + 1000) != NULL);
    os_inject_clear();
    REQUIRE_VALID();
    REQUIRE(kept(hole) > LARGE - 100);
}

/* For what moves, and what is not large, no page is taken. */
static void purge_nothing(void *kind) {
    REQUIRE(hmm_option_set("break", kind) == 0);
    char *moves = hmm_alloc(1000);
    char *hole = make_hole();
    REQUIRE(hmm_realloc("test", moves, LARGE + 1000) != moves);
    REQUIRE(kept(hole) > LARGE - 100);
}

static void test_free_pages_go_back_when_the_heap_has_to_grow(void **state) {
    (void)state;
    const char *const kinds[] = {"real", "simulated"};
    for (int i = 0; i < 2; i++) {
        if (os_purge_zeroes()) {
            expect_success(purge, (void *)(uintptr_t)kinds[i]);
            expect_success(purge_cut, (void *)(uintptr_t)kinds[i]);
        }
        expect_success(purge_in_vain, (void *)(uintptr_t)kinds[i]);
        expect_success(purge_nothing, (void *)(uintptr_t)kinds[i]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blocks_are_merged_at_once_behind_a_free_one),
        cmocka_unit_test(test_quick_lists_are_short),
        cmocka_unit_test(test_small_blocks_are_cut_side_by_side_from_one_free_block),
        cmocka_unit_test(test_break_stays_where_it_is_needed_again),
        cmocka_unit_test(test_free_pages_go_back_when_the_heap_has_to_grow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
