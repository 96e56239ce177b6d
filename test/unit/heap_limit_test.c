/*
 * heap_limit_test.c - the heap's own limit: what would exceed it fails, what is freed no longer counts, and before that
 * the heap gives up what it can and reports it.
 */
#include "support/fresh.h"

#include <errno.h>
#include <unistd.h>

#include "engine/tables/holding.h"
#include "support/engine_heap.h"

#define LIMIT (64 * MIB)
enum { BLOCKS = 100000 };

static void *blocks[BLOCKS];

/* Allocates blocks of a size until there are no more; returns how many. */
static size_t take_all(size_t size) {
    size_t count = 0;
    for (errno = 0; count < BLOCKS && (blocks[count] = engine_alloc(size)) != NULL; count++) {
        memset(blocks[count], 1, size);
    }
    CHECK(count < BLOCKS && errno == ENOMEM);
    return count;
}

static void free_all(size_t count) {
    while (count-- > 0) {
        engine_free(blocks[count]);
    }
}

static void most_of_the_limit_is_had_in_blocks_of_any_size(void) {
    static const size_t sizes[] = {1000, 20000, 100000, MIB, 3 * MIB, 40 * MIB};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        size_t count = take_all(sizes[i]);
        CHECK_AT_MOST(count * sizes[i], LIMIT);
        CHECK_AT_MOST(LIMIT / 2, count * sizes[i]);
        CHECK_AT_MOST(holding_held(), LIMIT);
        CHECK_VALID();
        free_all(count);
    }
    check_nothing_left();
}

static void huge_blocks_count(void) {
    enum { HUGE = 100 };
    void *first = engine_alloc(HUGE * MIB);
    void *second = engine_alloc(HUGE * MIB);
    CHECK(first != NULL && second != NULL);
    errno = 0;
    CHECK(engine_alloc(HUGE * MIB) == NULL && errno == ENOMEM);
    CHECK(engine_realloc("realloc", first, 2 * HUGE * MIB) == NULL);
    CHECK_VALID();
    second = engine_realloc("realloc", second, HUGE * MIB / 5 * 4);
    first = engine_realloc("realloc", first, HUGE * MIB / 5 * 6);
    CHECK(first != NULL && second != NULL);
    CHECK_VALID();
    engine_free(first);
    engine_free(second);
    CHECK_VALID();
    check_nothing_left();
}

static void a_block_grows_up_to_the_limit(void) {
    void *block = engine_alloc(20 * MIB);
    CHECK(block != NULL);
    CHECK(engine_realloc("realloc", block, LIMIT + MIB) == NULL);
    block = engine_realloc("realloc", block, 40 * MIB);
    CHECK(block != NULL);
    CHECK_VALID();
    engine_free(block);
}

static unsigned calls;
static size_t told;

static void note(size_t held, size_t limit, void *context) {
    CHECK(held > limit && limit == holding_soft());
    CHECK(context == &calls);
    calls++;
    told = held;
    engine_free(engine_alloc(100)); /* no lock is held */
    engine_free(engine_alloc(MIB));
    errno = EDOM;
}

/* Standard error must be empty if the test ends well. */
static FILE *capture(void) {
    FILE *file = tmpfile();
    CHECK(file != NULL && dup2(fileno(file), STDERR_FILENO) == STDERR_FILENO);
    return file;
}

static unsigned lines_in(FILE *file) {
    char line[256];
    unsigned lines = 0;
    rewind(file);
    while (fgets(line, sizeof line, file) != NULL) {
        CHECK(text_matches(line, "mems: limit: the heap holds # bytes, more than limit_soft, #\n"));
        lines++;
    }
    return lines;
}

static void passing_the_soft_limit_is_told_once(void) {
    FILE *file = capture();
    engine_on_limit(note, &calls);
    for (unsigned round = 1; round <= 3; round++) {
        errno = 0;
        size_t count = 0;
        for (; count < 60; count++) {
            CHECK((blocks[count] = engine_alloc(MIB)) != NULL);
        }
        CHECK_EQUAL(errno, 0);
        CHECK_EQUAL(calls, round);
        CHECK_EQUAL(lines_in(file), round);
        CHECK_AT_MOST(told, holding_held());
        free_all(count);
        engine_trim();
        CHECK_VALID();
    }
}

/* Free memory goes back first, however young; if that is enough, nobody hears of it. */
static void free_memory_goes_back_before_the_soft_limit_is_told(void) {
    FILE *file = capture();
    engine_on_limit(note, &calls);
    for (int round = 0; round < 20; round++) {
        size_t size = (size_t)(round % 4 + 1) * 300000;
        size_t count = 25 * MIB / size;
        for (size_t i = 0; i < count; i++) {
            CHECK((blocks[i] = engine_alloc(size)) != NULL);
            memset(blocks[i], 1, size);
        }
        free_all(count);
    }
    CHECK_EQUAL(calls, 0);
    CHECK_EQUAL(lines_in(file), 0);
    CHECK_VALID();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        FRESH_WITH(most_of_the_limit_is_had_in_blocks_of_any_size, "limit=64m,limit_soft=64m"),
        FRESH_WITH(huge_blocks_count, "limit=200m,limit_soft=200m"),
        FRESH_WITH(a_block_grows_up_to_the_limit, "limit=64m,limit_soft=64m"),
        FRESH_WITH(passing_the_soft_limit_is_told_once, "limit_soft=32m,decay_ms=4294967295"),
        FRESH_WITH(free_memory_goes_back_before_the_soft_limit_is_told, "limit_soft=32m,decay_ms=4294967295"),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
