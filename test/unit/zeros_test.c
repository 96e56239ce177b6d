/*
 * zeros_test.c - fresh memory for calloc stays untouched until the program is seen to use all of what it gets.
 */
#include "support/fresh.h"

#include <errno.h>

#include "engine/heaps/heap.h"
#include "os/os.h"
#include "support/clock.h"
#include "support/engine_heap.h"
#include "support/kernel.h"
#include "support/thread.h"

#define SIZE ((size_t)300 * KIB)

static void need_to_see_pages(void) {
    void *scratch = NULL;
    CHECK(os_map(UNIT, UNIT, &scratch) == 0);
    if (present_bytes(scratch, UNIT) != 0 || (os_populate(scratch, UNIT), present_bytes(scratch, UNIT)) != UNIT) {
        child_cannot();
    }
}

/* A zeroed block; returns how much of it is present. */
static size_t allocate(size_t size, char **block) {
    *block = engine_alloc_zeroed(1, size);
    CHECK(*block != NULL);
    size_t bytes = present_bytes(*block, size);
    for (size_t i = 0; i < size; i += OS_PAGE / 2) {
        CHECK_EQUAL((*block)[i], 0);
    }
    return bytes;
}

/* Frees a block, so that its memory is fresh again. */
static void release(void *block) {
    engine_free(block);
    engine_trim();
}

/* How many of these blocks are untouched, of which then `pages` pages in four are used. */
static size_t untouched_of(size_t count, size_t pages) {
    size_t untouched = 0;
    for (size_t i = 0; i < count; i++) {
        char *block;
        size_t bytes = allocate(SIZE, &block);
        CHECK(bytes == 0 || bytes == SIZE);
        untouched += bytes == 0;
        for (size_t at = 0; at < SIZE; at += OS_PAGE) {
            block[at] = at / OS_PAGE % 4 < pages;
        }
        release(block);
    }
    return untouched;
}

static void what_is_hardly_used_stays_untouched(void) {
    (void)engine_alloc(1);
    need_to_see_pages();
    CHECK_EQUAL(untouched_of(30, 0), 30);
    CHECK_EQUAL(untouched_of(30, 1), 30);
    CHECK_EQUAL(untouched_of(30, 2), 30);
    CHECK_VALID();
}

static void what_is_used_is_present(void) {
    char *block = engine_alloc(1);
    need_to_see_pages();
    CHECK_EQUAL(untouched_of(32, 4), 4 + 28 / 4); /* four make a habit, and then one in four tells */
    CHECK_EQUAL(untouched_of(32, 3), 5);          /* the last of them is the sixteenth: then one in sixteen tells */
    CHECK_EQUAL(allocate(MIB, &block), 0);        /* this much may be sparse, */
    release(block);
    CHECK_EQUAL(allocate(SIZE / 3, &block), 0); /* and so may be other sizes */
    release(block);
    CHECK_EQUAL(untouched_of(3 + 3 * 16 + 1, 4), 4);
    CHECK_EQUAL(untouched_of(30, 0), 15); /* all from the next one on that tells */
    CHECK_EQUAL(untouched_of(32, 4), 4 + 28 / 4);
    CHECK_VALID();
}

/* How many of these blocks are untouched, of which the program then uses `bytes` at each page, and frees none. */
static size_t untouched_of_kept(size_t count, size_t bytes) {
    size_t untouched = 0;
    for (size_t i = 0; i < count; i++) {
        char *block;
        untouched += allocate(SIZE, &block) == 0;
        for (size_t at = 0; at < SIZE; at += OS_PAGE) {
            memset(block + at, 1, bytes);
        }
    }
    return untouched;
}

static void a_block_in_use_tells_as_well(void) {
    (void)engine_alloc(1);
    need_to_see_pages();
    CHECK_EQUAL(untouched_of_kept(32, 1), 5 + 27 / 4); /* the fifth finds the fourth used */
    CHECK_EQUAL(untouched_of_kept(32, 0), 32 - 3);     /* the last used one promised three */
    CHECK_EQUAL(untouched_of_kept(4, 1), 4);
    CHECK_VALID();
}

/* A program that fills its blocks later, all at once. */
static void a_block_in_use_is_looked_at_a_few_times(void) {
    enum { COUNT = 20, LOOKS = 8 }; /* one block in eight is looked at, on one page */
    char *blocks[COUNT];
    size_t present = 0;
    (void)engine_alloc(1);
    need_to_see_pages();
    for (unsigned i = 0; i < COUNT; i++) {
        CHECK((blocks[i] = engine_alloc_zeroed(1, SIZE)) != NULL);
    }
    for (unsigned i = 0; i < COUNT; i++) {
        present += present_bytes(blocks[i], SIZE);
    }
    CHECK_EQUAL(present, (COUNT + LOOKS - 1) / LOOKS * os_page_size());
}

static void *allocate_one(void *unused) {
    (void)unused;
    CHECK(engine_alloc_zeroed(1, SIZE) != NULL);
    return NULL;
}

static void *free_one(void *block) {
    engine_free(block);
    return NULL;
}

/* It may have been interrupted before it could fill its block. */
static void another_threads_block_does_not_count_as_unused(void) {
    (void)engine_alloc(1);
    need_to_see_pages();
    thread_run(allocate_one, NULL);
    CHECK_EQUAL(untouched_of_kept(32, 1), 5 + 27 / 4);
    thread_run(allocate_one, NULL);
    CHECK_EQUAL(untouched_of_kept(3, 1), 0);
    CHECK_VALID();
}

static void *use_all(void *unused) {
    (void)unused;
    CHECK_EQUAL(untouched_of_kept(32, 1), 5 + 27 / 4);
    return NULL;
}

static void a_heaps_next_thread_does_not_watch_its_blocks(void) {
    (void)engine_alloc(1);
    need_to_see_pages();
    thread_run(allocate_one, NULL);
    thread_run(use_all, NULL);
    CHECK_EQUAL(heaps.made, 2);
    CHECK_VALID();
}

/* A block that another thread frees tells then, and not once more when its own thread allocates the next. */
static void a_block_freed_by_another_thread_tells_once(void) {
    (void)engine_alloc(1);
    need_to_see_pages();
    for (unsigned i = 0; i < 2; i++) { /* four blocks make a habit, of which the last is looked at below */
        char *first;
        char *second;
        CHECK_EQUAL(allocate(SIZE, &first), 0);
        memset(first, 1, SIZE);
        void *between = engine_alloc(SIZE);
        thread_run(free_one, first);
        CHECK_EQUAL(allocate(SIZE + 3 * UNIT, &second), 0);
        CHECK(second != first);
        memset(second, 1, SIZE + 3 * UNIT);
        engine_free(second);
        release(between);
    }
    char *block;
    CHECK_EQUAL(allocate(SIZE, &block), SIZE);
    CHECK_VALID();
}

/* The program has closed the pages of a live block. */
static void closed_pages_are_not_read(void) {
    (void)engine_alloc(1);
    need_to_see_pages();
    char *closed = engine_alloc_zeroed(1, SIZE);
    CHECK(os_close_pages(closed, SIZE) == 0);
    CHECK_EQUAL(untouched_of_kept(30, 0), 30);
    CHECK(os_commit(closed, SIZE) == 0);
    CHECK_VALID();
}

/* A block whose pages come from elsewhere does not tell what was left untouched. */
static void what_has_been_resized_tells_nothing(void) {
    char *block = engine_alloc(1);
    need_to_see_pages();
    CHECK_EQUAL(allocate(SIZE, &block), 0);
    memset(block, 1, SIZE);
    CHECK(engine_realloc("realloc", block, SIZE + 2 * UNIT) == block);
    release(block);
    CHECK_EQUAL(allocate(SIZE, &block), 0);
    CHECK_VALID();
}

/* However often, and even if only the last unit has more bytes. */
static void what_is_resized_again_and_again_tells_nothing(void) {
    char *block = engine_alloc(1);
    need_to_see_pages();
    for (unsigned i = 0; i < 8; i++) {
        CHECK_EQUAL(allocate(SIZE, &block), 0);
        memset(block, 1, SIZE);
        CHECK(engine_realloc("realloc", block, SIZE + OS_PAGE) == block);
        release(block);
    }
    CHECK_VALID();
}

/* Reading a page has made it present. */
static void three_pages_of_an_unused_block_are_read(void) {
    char *block = engine_alloc(1);
    need_to_see_pages();
    CHECK((block = engine_alloc_zeroed(1, SIZE)) != NULL);
    engine_free(block);
    CHECK_EQUAL(present_bytes(block, SIZE), 3 * os_page_size());
}

/* A zeroed block in the place of one of which the program had written every `stride`-th page; returns how much of it
 * is present. */
static size_t recycled(size_t size, size_t stride) {
    char *block = engine_alloc_aligned(2 * GRANULE, size); /* large, whatever its size */
    CHECK(os_purge(block, size) == 0);
    for (size_t at = 0; at < size; at += stride * OS_PAGE) {
        block[at] = 1;
    }
    engine_free(block);
    char *again;
    size_t bytes = allocate(size, &again);
    CHECK(again == block);
    engine_free(again);
    return bytes;
}

/* Pages that the last user touched, and small blocks, are cleared in place; the other pages go back. */
static void what_was_used_before_is_zero(void) {
    (void)engine_alloc(1);
    needs_large_blocks_again();
    need_to_see_pages();
    for (size_t size = 40 * KIB; size <= 32 * MIB; size *= 2) {
        size_t present = size <= 128 * KIB ? size : 0;
        CHECK_EQUAL(recycled(size, 1), size);
        CHECK_EQUAL(recycled(size, 2), present);
        CHECK_EQUAL(recycled(size, 64), present);
    }
    CHECK_VALID();
}

/* Clearing in place takes no page fault and no system call: a large block that is filled, or a small one of which one
 * page is used. */
static void what_is_used_again_and_again_stays_present(void) {
    enum { ROUNDS = 100 };
    struct os_usage before;
    struct os_usage after;
    (void)engine_alloc(1);
    needs_large_blocks_again();
    need_to_see_pages();
    engine_free(memset(engine_alloc(4 * MIB), 1, 4 * MIB));
    engine_free(memset(engine_alloc_aligned(2 * GRANULE, 40 * KIB), 1, 40 * KIB));
    uint64_t calls = os_inject_calls(OS_CALL_MADVISE);
    os_usage(&before);
    for (unsigned i = 0; i < ROUNDS; i++) {
        char *block = engine_alloc_zeroed(4, MIB);
        CHECK(block[i] == 0);
        engine_free(memset(block, 1, 4 * MIB));
        char *table = engine_alloc_zeroed(1, 40 * KIB);
        table[100]++;
        engine_free(table);
    }
    os_usage(&after);
    CHECK_AT_MOST(after.minor_faults - before.minor_faults, 400); /* in 100,000 pages */
    CHECK_EQUAL(os_inject_calls(OS_CALL_MADVISE), calls);
}

/* Blocks of one size, a percentage of which are filled and the others used on one page, come and go at random. At
 * most a fifth more is present than is used. */
static void users_and_non_users_are_told_apart(void) {
    enum { COUNT = 64, STEPS = UNDER_TSAN ? 500 : 1500 };
    static char *blocks[COUNT];
    static bool fills[COUNT];
    (void)engine_alloc(1);
    need_to_see_pages();
    for (unsigned share = 0; share <= 100; share += 20) {
        size_t used = 0;
        size_t present = 0;
        for (unsigned step = 0; step < STEPS; step++) {
            size_t i = random_below(&fresh_random, COUNT);
            if (blocks[i] != NULL) {
                present += present_bytes(blocks[i], SIZE);
                used += fills[i] ? SIZE : os_page_size();
                release(blocks[i]);
            }
            blocks[i] = engine_alloc_zeroed(1, SIZE);
            fills[i] = random_below(&fresh_random, 100) < share;
            for (size_t at = 0; at < (fills[i] ? SIZE : 1); at += OS_PAGE) {
                blocks[i][at] = 1;
            }
        }
        CHECK_AT_MOST(present, used + used / 5);
    }
}

/* Stray writes into memory that went back are gone when it is reused. */
static void a_stale_write_does_not_show(void) {
    (void)engine_alloc(1);
    for (size_t size = 40 * KIB; size <= 8 * MIB; size *= 2) {
        char *block = engine_alloc(size);
        memset(block, 1, size);
        release(block);
        block[size / 2] = 1;
        char *again;
        allocate(size, &again);
        CHECK(again == block && again[size / 2] == 0);
        engine_free(again);
    }
}

/* The same if the system takes nothing back. */
static void a_refused_purge_clears_in_place(void) {
    (void)engine_alloc(1);
    os_purge_zeroes(); /* its trial is over */
    char *block = engine_alloc(SIZE);
    block[SIZE / 2] = 1;
    engine_free(block);
    os_inject(OS_CALL_MADVISE, 0, UINT64_MAX, EPERM);
    CHECK(engine_alloc_zeroed(1, SIZE) == block && block[SIZE / 2] == 0);
    os_inject_clear();
}

/* All that malloc_usable_size allows, whoever had it before. */
static void all_of_a_block_is_zero(void) {
    for (size_t size = 1; size <= 100000; size += 1 + size / 40) {
        char *block = engine_alloc(size);
        memset(block, 1, engine_usable_size("malloc_usable_size", block));
        engine_free(block);
        block = engine_alloc_zeroed(1, size);
        size_t usable = engine_usable_size("malloc_usable_size", block);
        for (size_t i = 0; i < usable; i++) {
            CHECK_EQUAL(block[i], 0);
        }
        engine_free(block);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        FRESH(what_is_hardly_used_stays_untouched),
        FRESH(what_is_used_is_present),
        FRESH(a_block_in_use_tells_as_well),
        FRESH(a_block_in_use_is_looked_at_a_few_times),
        FRESH(another_threads_block_does_not_count_as_unused),
        FRESH(a_heaps_next_thread_does_not_watch_its_blocks),
        FRESH(a_block_freed_by_another_thread_tells_once),
        FRESH(closed_pages_are_not_read),
        FRESH(what_has_been_resized_tells_nothing),
        FRESH(what_is_resized_again_and_again_tells_nothing),
        FRESH(three_pages_of_an_unused_block_are_read),
        FRESH(what_was_used_before_is_zero),
        FRESH(what_is_used_again_and_again_stays_present),
        FRESH(users_and_non_users_are_told_apart),
        FRESH(a_stale_write_does_not_show),
        FRESH(a_refused_purge_clears_in_place),
        FRESH(all_of_a_block_is_zero),
    };
    clock_stop(); /* each test's process inherits it */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
