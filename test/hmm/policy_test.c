/*
 * policy_test.c - how the heap holds little memory without repeating work: which freed blocks are cached, what small
 * ones are cut from, when the break stays up, and which pages below it are purged.
 */
#include "support/fresh.h"

#include <errno.h>

#include "hmm/block.h"
#include "hmm/heap_state.h"
#include "support/hmm_heap.h"
#include "support/kernel.h"

#define SMALL ((size_t)200)
#define LARGE ((size_t)4 << 20)

static size_t cached_now(void) {
    return stats_now().cached_blocks;
}

static void blocks_are_merged_at_once_behind_a_free_one(void) {
    char *blocks[6];
    for (int i = 0; i < 6; i++) {
        blocks[i] = HmmAlloc(SMALL);
        CHECK(i == 0 || blocks[i] == blocks[i - 1] + SMALL + BLOCK_HEADER);
    }
    while (cached_now() > 0) {
        CHECK(HmmAlloc(SMALL) != NULL);
    }
    HmmFree(blocks[0]);
    CHECK(cached_now() == 1); /* the first of its list waits */
    HmmFree(blocks[2]);
    CHECK(cached_now() == 2); /* its neighbours are used: merging would gain nothing */
    hmm_trim(&hmm_heap, 0);
    CHECK(cached_now() == 0);
    HmmFree(blocks[4]);
    HmmFree(blocks[1]); /* the block before it is free */
    CHECK(cached_now() == 1);
    CHECK_VALID();
    hmm_trim(&hmm_heap, 0);
    HmmFree(blocks[5]);
    CHECK(cached_now() == 1); /* the first waits, whatever is before it */
    CHECK_VALID();
}

/* However many are freed, a size's list holds at most 4 KiB and one block. */
static void fill_quick_list(void *argument) {
    size_t size = *(size_t *)argument;
    void *blocks[300];
    for (int i = 0; i < 300; i++) {
        blocks[i] = HmmAlloc(size);
    }
    for (int i = 300; i > 0; i--) { /* each behind a used one */
        HmmFree(blocks[i - 1]);
    }
    size_t all = stats_now().cached_blocks * block_size_for(size);
    CHECK(all >= 4096 && all < 4096 + block_size_for(size));
    CHECK_VALID();
}

static void quick_lists_are_short(void) {
    for (size_t size = 24; size <= 1032; size += 112) {
        expect_success(fill_quick_list, &size);
    }
}

static void small_blocks_are_cut_side_by_side_from_one_free_block(void) {
    const size_t sizes[] = {2000, 4072, 2000, 3048, 2000}; /* larger than what is cached */
    char *held[5];
    CHECK(HmmAlloc(100) != NULL); /* cut from the last block */
    for (int i = 0; i < 5; i++) {
        held[i] = HmmAlloc(sizes[i]);
    }
    HmmFree(held[1]);
    HmmFree(held[3]);
    char *blocks[5];
    for (size_t i = 0; i < 5; i++) { /* the smaller hole is filled, the heap's end is not used */
        blocks[i] = HmmAlloc(100 + 100 * i);
        CHECK(blocks[i] == (i == 0 ? held[3] : blocks[i - 1] + block_size_for(100 * i)));
        CHECK(cached_now() == 0);
        CHECK_VALID();
    }
    CHECK(HmmAlloc(1032) == blocks[4] + block_size_for(500));
    CHECK(HmmAlloc(1032) == held[1]); /* too little is left: the other hole is next */
    CHECK(HmmAlloc(600) == held[1] + block_size_for(1032));
    HmmFree(blocks[0]);
    HmmFree(blocks[1]);
    hmm_trim(&hmm_heap, 0);
    size_t both = block_size_for(100) + block_size_for(200) - BLOCK_HEADER;
    CHECK(HmmAlloc(both) == blocks[0]); /* a free block of exactly this size comes first */
    CHECK_VALID();
}

/* A block freed on either side of the block being cut becomes part of it. */
static void what_is_freed_beside_the_block_being_cut_becomes_part_of_it(void) {
    char *large[4];
    for (int i = 0; i < 4; i++) {
        large[i] = HmmAlloc(2040);
    }
    char *fits = HmmAlloc(2040);
    CHECK(HmmAlloc(2040) != NULL);
    HmmFree(large[1]);
    char *small = HmmAlloc(1032);
    CHECK(small == large[1]);
    HmmFree(large[2]);
    CHECK_VALID();
    HmmFree(large[0]);
    HmmFree(small);
    CHECK(HmmAlloc(1032) == small);   /* it was cached */
    HmmFree(HmmRealloc(small, 1100)); /* in place, and merged on both sides */
    CHECK_VALID();
    HmmFree(fits);
    CHECK(HmmAlloc(1000) == large[0]);
    CHECK(HmmAlloc(1000) == large[0] + block_size_for(1000));
    CHECK_VALID();
}

/* Allocates and frees blocks of `size` bytes in total; returns how often that moves the break. */
static uint64_t moves_for(size_t size, int rounds) {
    uint64_t before = stats_now().break_moves;
    for (int i = 0; i < rounds; i++) {
        HmmFree(HmmAlloc(size));
    }
    CHECK_VALID();
    return stats_now().break_moves - before;
}

static void the_break_stays_where_it_is_needed_again(void) {
    CHECK(HmmAlloc(100) != NULL);
    CHECK(moves_for((size_t)2 << 20, 100) < 20); /* it stays up */
    CHECK(moves_for((size_t)8 << 20, 10) == 20); /* this much never stays */
    CHECK(stats_now().region < (size_t)1 << 20);
    HmmFree(HmmAlloc((size_t)2 << 20));
    hmm_trim(&hmm_heap, 0);
    size_t least = stats_now().region;
    CHECK(hmm_trim(&hmm_heap, 0) == 0 && least <= 2 * os_page_size());
}

/* Three full, large blocks, the middle one free, and a used one before the heap's end. Returns the middle one. */
static char *make_hole(void) {
    char *blocks[3];
    for (int i = 0; i < 3; i++) {
        blocks[i] = HmmAlloc(LARGE);
        memset(blocks[i], 0x5A, LARGE);
    }
    HmmFree(blocks[1]);
    return blocks[1];
}

/* How many bytes of a free block of LARGE bytes its next user sees unchanged. */
static size_t kept(const char *hole) {
    const volatile char *block = HmmAlloc(LARGE);
    CHECK(block == hole);
    size_t same = 0;
    for (size_t i = 0; i < LARGE; i++) {
        same += block[i] == 0x5A;
    }
    return same;
}

static void need_purging(void) {
    if (!os_purge_zeroes()) {
        child_cannot();
    }
}

static void free_pages_go_back_when_the_heap_has_to_grow(void) {
    need_purging();
    char *hole = make_hole();
    CHECK(HmmAlloc(LARGE + 1000) != NULL);
    CHECK_VALID();
    CHECK(kept(hole) < 2 * os_page_size());
}

/* The largest free block is the one being cut. */
static void pages_of_the_block_being_cut_go_back(void) {
    need_purging();
    char *hole = make_hole();
    for (char *small = NULL; small != hole; small = HmmAlloc(1000)) {
        CHECK(stats_now().used_blocks < 1000);
    }
    CHECK(HmmAlloc(LARGE + 1000) != NULL);
    CHECK_VALID();
    const volatile char *page = hole + LARGE / 2;
    CHECK(*page == 0);
}

static void pages_that_the_system_keeps_are_as_they_were(void) {
    char *hole = make_hole();
    os_inject(OS_CALL_MADVISE, 0, UINT64_MAX, EPERM);
    CHECK(HmmAlloc(LARGE + 1000) != NULL);
    os_inject_clear();
    CHECK_VALID();
    CHECK(kept(hole) > LARGE - 100);
}

/* Blocks that move, and those that are not large, purge no page. */
static void no_page_goes_back_for_what_moves_or_is_not_large(void) {
    char *moves = HmmAlloc(1000);
    char *hole = make_hole();
    CHECK(HmmRealloc(moves, LARGE + 1000) != moves);
    CHECK(kept(hole) > LARGE - 100);
}

static void trimming_gives_back_the_pages_inside(void) {
    need_purging();
    char *hole = make_hole();
    char *small = HmmAlloc(20000);
    CHECK(HmmAlloc(100000) != NULL);
    memset(small, 0x5A, 20000);
    HmmFree(small);
    CHECK(hmm_trim(&hmm_heap, 0) >= LARGE);
    CHECK(hmm_trim(&hmm_heap, 0) == 0); /* nothing has changed since */
    CHECK_VALID();
    CHECK(kept(hole) < 2 * os_page_size());
    for (size_t i = os_page_size(); i < 20000 - os_page_size(); i++) {
        CHECK(((const volatile char *)small)[i] == 0);
    }
}

static void *middle_page(char *large) {
    return large + (round_up((uintptr_t)large + LARGE / 2, os_page_size()) - (uintptr_t)large);
}

/* A process whose address space is limited maps something else where its heap has holes. */
static void trimming_gives_back_addresses_that_a_limit_counts(void) {
    enum { HOLES = 3 };
    char *holes[HOLES], *kept_blocks[HOLES];
    for (int i = 0; i < HOLES; i++) {
        holes[i] = HmmAlloc(LARGE);
        kept_blocks[i] = memset(HmmAlloc(1000), i, 1000);
    }
    HmmFree(holes[0]);
    HmmFree(holes[2]);
    hmm_trim(&hmm_heap, 0);
    CHECK(mapped(middle_page(holes[0])) && stats_now().regions == 1);
    hmm_break_confine(&hmm_heap.brk);
    const size_t size = stats_now().region;
    CHECK(hmm_trim(&hmm_heap, 0) >= 2 * LARGE - 4 * os_page_size());
    CHECK(hmm_trim(&hmm_heap, 0) == 0);
    CHECK_VALID();
    CHECK(!mapped(middle_page(holes[0])) && mapped(middle_page(holes[1])) && !mapped(middle_page(holes[2])));
    CHECK(stats_now().regions == 3 && stats_now().region <= size - 2 * LARGE + 4 * os_page_size());
    HmmFree(holes[1]);
    char *large = memset(HmmAlloc(3 * LARGE), 7, 3 * LARGE);
    CHECK_VALID();
    for (int i = 0; i < HOLES; i++) {
        CHECK(kept_blocks[i][0] == i && kept_blocks[i][999] == i);
        HmmFree(kept_blocks[i]);
    }
    HmmFree(large);
    hmm_trim(&hmm_heap, 0);
    CHECK_VALID();
    CHECK(stats_now().used_blocks == 0);
}

static bool stays(struct program_break *brk, intptr_t by, void **was) {
    (void)brk, (void)by, (void)was;
    return false;
}

/* A limit on data counts holes below the process's break, and a reserved break has an end. */
static void addresses_that_trimming_gave_up_serve_again_if_nobody_has_them(void) {
    enum { HOLES = 3 };
    char *holes[HOLES];
    for (int i = 0; i < HOLES; i++) {
        holes[i] = HmmAlloc(LARGE);
        CHECK(HmmAlloc(1000) != NULL);
    }
    for (int i = 0; i < HOLES; i++) {
        HmmFree(holes[i]);
    }
    hmm_break_confine(&hmm_heap.brk);
    hmm_trim(&hmm_heap, 0);
    CHECK(stats_now().regions == 1 + HOLES);
    const size_t size = stats_now().region;
    const size_t need = LARGE - 3 * os_page_size(); /* the end of each stayed */
    hmm_heap.brk.move = stays;
    hmm_heap.brk.more = NULL;
    CHECK(os_claim(middle_page(holes[1]), os_page_size()) == 0);
    const char *theirs = memset(middle_page(holes[1]), 5, os_page_size());
    char *first = HmmCalloc(1, need);
    CHECK(first == holes[0] && first[0] == 0 && first[need - 1] == 0);
    CHECK_VALID();
    char *second = memset(HmmAlloc(need), 1, need);
    CHECK(second == holes[2] && stats_now().regions == 1 + HOLES);
    CHECK(HmmAlloc(need) == NULL && errno == ENOMEM);
    CHECK_VALID();
    CHECK(theirs[0] == 5 && theirs[os_page_size() - 1] == 5);
    HmmFree(first);
    HmmFree(second);
    CHECK(hmm_trim(&hmm_heap, 0) >= 2 * LARGE - 8 * os_page_size());
    CHECK(!mapped(middle_page(holes[0])) && mapped(middle_page(holes[1])) && !mapped(middle_page(holes[2])));
    CHECK(stats_now().regions == 1 + HOLES && stats_now().region <= size);
    CHECK_VALID();
}

/* Several runs of them, one as long as a few pages. */
static void trimming_gives_back_what_lies_behind_locked_pages(void) {
    need_purging();
    char *hole = make_hole();
    char *start = hole + round_up((uintptr_t)hole, os_page_size()) - (uintptr_t)hole;
    for (size_t i = 1; i <= 3; i++) {
        if (os_lock_pages(start + i * MIB, i * os_page_size(), 0) != 0) {
            child_cannot();
        }
    }
    hmm_trim(&hmm_heap, 0);
    CHECK_VALID();
    CHECK_AT_MOST(kept(hole), 12 * os_page_size());
}

/* Zeroed blocks, hardly used, one after the other in untouched memory, which remains the system's. */
static void zeroed_blocks_do_not_touch_what_nobody_has_touched(void) {
    enum { BLOCKS = 200 };
    const size_t size = 1000000;
    size_t present = 0;
    need_purging();
    HmmFree(HmmAlloc(1));
    for (size_t i = 0; i < BLOCKS; i++) {
        char *block = HmmCalloc(1, size);
        CHECK(block != NULL);
        block[size / 2] = 1;
        HmmFree(HmmAlloc(2000)); /* cut from the end */
        size_t first = round_up((uintptr_t)block, os_page_size()) - (uintptr_t)block;
        present += present_bytes(block + first, round_down(size - first, os_page_size()));
    }
    CHECK(present < BLOCKS * 4 * os_page_size());
    CHECK_VALID();
}

/* The last user touched few pages of the block. */
static void sparse_blocks_stay_sparse_when_they_are_zeroed_again(void) {
    const size_t size = (size_t)40 << 20;
    need_purging();
    void *wall = NULL;
    for (unsigned round = 0; round < 3; round++) {
        char *block = HmmCalloc(1, size);
        CHECK(block != NULL);
        for (size_t i = 0; i < size; i += size / 8) {
            CHECK(block[i] == 0 && block[i + 1000] == 0);
            memset(block + i, 0x5A, 100);
        }
        CHECK(block[size - 1] == 0);
        block[size - 1] = 1;
        wall = wall != NULL ? wall : HmmAlloc(100000);
        const size_t first = round_up((uintptr_t)block, os_page_size()) - (uintptr_t)block;
        CHECK(wall != NULL && present_bytes(block + first, size - 2 * os_page_size()) < 32 * os_page_size());
        HmmFree(block);
        CHECK_VALID();
    }
}

/* The last user wrote one byte in each page, so the pages are there, and are cleared. */
static void blocks_that_were_touched_page_by_page_keep_their_pages(void) {
    const size_t size = (size_t)2 << 20;
    const size_t page = os_page_size();
    need_purging();
    char *block = HmmAlloc(size);
    CHECK(block != NULL && HmmAlloc(100000) != NULL);
    for (size_t i = 0; i < size; i += page) {
        block[i] = 0x5A;
    }
    HmmFree(block);
    CHECK(HmmCalloc(1, size) == block);
    const size_t first = round_up((uintptr_t)block, page) - (uintptr_t)block;
    const size_t pages = round_down(size - first, page);
    CHECK(present_bytes(block + first, pages) == pages);
    for (size_t i = 0; i < size; i++) {
        CHECK(block[i] == 0);
    }
}

static void zeroed_blocks_are_zero(char fill, size_t apart) {
    const size_t size = (size_t)4 << 20;
    HmmFree(HmmAlloc(1));
    char *block = HmmAlloc(size);
    void *wall = HmmAlloc(100000);
    CHECK(block != NULL && wall != NULL);
    for (size_t i = 0; i < size; i += apart) {
        block[i] = fill;
    }
    HmmFree(block);
    char *again = HmmCalloc(1, size);
    CHECK(again == block);
    for (size_t i = 0; i < size; i++) {
        CHECK(again[i] == 0);
    }
}

static void used_blocks_are_zero_when_they_are_zeroed(void) {
    zeroed_blocks_are_zero(0x5A, 1);
    zeroed_blocks_are_zero(0x5A, 100001);
}

static void blocks_are_zero_where_the_system_keeps_the_pages(void) {
    os_inject(OS_CALL_MADVISE, 0, UINT64_MAX, EPERM);
    zeroed_blocks_are_zero(0x5A, 100001);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        FRESH(blocks_are_merged_at_once_behind_a_free_one),
        PLAIN(quick_lists_are_short),
        FRESH(small_blocks_are_cut_side_by_side_from_one_free_block),
        FRESH(what_is_freed_beside_the_block_being_cut_becomes_part_of_it),
        ON_BOTH_BREAKS(the_break_stays_where_it_is_needed_again),
        ON_BOTH_BREAKS(free_pages_go_back_when_the_heap_has_to_grow),
        ON_BOTH_BREAKS(pages_of_the_block_being_cut_go_back),
        ON_BOTH_BREAKS(pages_that_the_system_keeps_are_as_they_were),
        ON_BOTH_BREAKS(trimming_gives_back_the_pages_inside),
        ON_BOTH_BREAKS(trimming_gives_back_addresses_that_a_limit_counts),
        ON_BOTH_BREAKS(addresses_that_trimming_gave_up_serve_again_if_nobody_has_them),
        ON_BOTH_BREAKS(trimming_gives_back_what_lies_behind_locked_pages),
        ON_BOTH_BREAKS(zeroed_blocks_do_not_touch_what_nobody_has_touched),
        ON_BOTH_BREAKS(no_page_goes_back_for_what_moves_or_is_not_large),
        ON_BOTH_BREAKS(sparse_blocks_stay_sparse_when_they_are_zeroed_again),
        ON_BOTH_BREAKS(blocks_that_were_touched_page_by_page_keep_their_pages),
        ON_BOTH_BREAKS(used_blocks_are_zero_when_they_are_zeroed),
        ON_BOTH_BREAKS(blocks_are_zero_where_the_system_keeps_the_pages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
