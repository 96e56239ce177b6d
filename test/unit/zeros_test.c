/*
 * zeros_test.c - fresh memory for calloc is left untouched, until the program is seen to use all of what it gets.
 */
#include "support/fresh.h"

#include "engine/heap.h"
#include "os/os.h"
#include "support/engine_heap.h"
#include "support/kernel.h"

#define SIZE ((size_t)300 * KIB)

static void need_to_see_pages(void) {
    void *scratch = NULL;
    CHECK(os_map(UNIT, UNIT, &scratch) == 0);
    if (present_bytes(scratch, UNIT) != 0 || (os_populate(scratch, UNIT), present_bytes(scratch, UNIT)) != UNIT) {
        child_cannot();
    }
}

/* A zeroed block; how much of it is present. */
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

/* How many of so many blocks are untouched, of which then `pages` pages in four are used. */
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
    CHECK_EQUAL(untouched_of(32, 4), 4); /* one in eight tells */
    CHECK_EQUAL(untouched_of(32, 3), 4);
    CHECK_EQUAL(allocate(MIB, &block), 0); /* so much may be sparse all the same */
    release(block);
    CHECK_AT_MOST(30 - untouched_of(30, 0), 7); /* until the next one that tells */
    CHECK_VALID();
}

static void what_is_not_freed_tells_nothing(void) {
    char *block = engine_alloc(1);
    need_to_see_pages();
    for (int i = 0; i < 30; i++) {
        CHECK_EQUAL(allocate(SIZE, &block), 0);
        memset(block, 1, SIZE);
    }
    CHECK_VALID();
}

/* A block whose pages come from elsewhere tells nothing of what was left untouched. */
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

/* A page that is read has been made present. */
static void five_pages_of_an_unused_block_are_read(void) {
    char *block = engine_alloc(1);
    need_to_see_pages();
    CHECK((block = engine_alloc_zeroed(1, SIZE)) != NULL);
    engine_free(block);
    CHECK_EQUAL(present_bytes(block, SIZE), 5 * os_page_size());
}

static void what_was_used_before_is_zero(void) {
    for (size_t size = SIZE; size <= 8 * MIB; size *= 2) {
        char *block = engine_alloc(size);
        memset(block, 1, size);
        engine_free(block);
        char *again;
        size_t bytes = allocate(size, &again);
        CHECK(again == block);
        CHECK(size < MIB || bytes == 0 || !os_purge_zeroes());
        engine_free(again);
    }
    CHECK_VALID();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        FRESH(what_is_hardly_used_stays_untouched),    FRESH(what_is_used_is_present),
        FRESH(what_is_not_freed_tells_nothing),        FRESH(what_has_been_resized_tells_nothing),
        FRESH(five_pages_of_an_unused_block_are_read), FRESH(what_was_used_before_is_zero),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
