/*
 * zeros_test.c - fresh memory for calloc is left untouched, until the program is seen to use all of what it gets.
 */
#include "support/fresh.h"

#include "engine/heap.h"
#include "os/os.h"
#include "support/engine_heap.h"

#define SIZE ((size_t)300 * KIB)

static void need_to_see_pages(void) {
    void *scratch = NULL;
    CHECK(os_map(UNIT, UNIT, &scratch) == 0);
    if (os_present(scratch, UNIT) != 0 || (os_populate(scratch, UNIT), os_present(scratch, UNIT)) != UNIT) {
        child_cannot();
    }
}

/* A zeroed block; how much of it is present. */
static size_t allocate(size_t size, char **block) {
    *block = engine_alloc_zeroed(1, size);
    CHECK(*block != NULL);
    size_t bytes = os_present(*block, size);
    for (size_t i = 0; i < size; i += OS_PAGE / 2) {
        CHECK_EQUAL((*block)[i], 0);
    }
    return bytes;
}

static void what_is_hardly_used_stays_untouched(void) {
    char *block = engine_alloc(1);
    need_to_see_pages();
    for (int i = 0; i < 30; i++) {
        block = engine_alloc_zeroed(1, SIZE);
        CHECK_EQUAL(os_present(block, SIZE), 0);
        block[SIZE / 2] = 1;
    }
    CHECK_VALID();
}

static void what_is_used_is_present(void) {
    char *block = engine_alloc(1);
    size_t untouched = 0;
    need_to_see_pages();
    for (int i = 0; i < 32; i++) {
        size_t bytes = allocate(SIZE, &block);
        CHECK(bytes == 0 || bytes == SIZE);
        untouched += bytes == 0;
        memset(block, 1, SIZE);
    }
    CHECK_EQUAL(untouched, 4);             /* one in eight tells */
    CHECK_EQUAL(allocate(MIB, &block), 0); /* so much may be sparse all the same */
    for (int i = 0; i < 30; i++) {
        block = engine_alloc_zeroed(1, SIZE);
        untouched += os_present(block, SIZE) == 0;
    }
    CHECK_AT_MOST(4 + 30 - untouched, 8); /* until the next one that tells */
    CHECK_VALID();
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
        FRESH(what_is_hardly_used_stays_untouched),
        FRESH(what_is_used_is_present),
        FRESH(what_was_used_before_is_zero),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
