/*
 * decay_test.c - freed memory leaves the process by itself: after decay_ms, on the next slow path.
 */
#include "support/test.h"

#include <mems.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { BLOCKS = 200000, BIG_BLOCKS = 40 };
#define BIG MIB

static size_t resident(void) {
    struct mems_engine_stats stats;
    mems_engine_stats(&stats);
    return stats.resident;
}

static void sleep_ms(long ms) {
    const struct timespec time = {.tv_nsec = ms * 1000000};
    nanosleep(&time, NULL);
}

/* Makes the heap take a slow path, by a large block. */
static void take_a_slow_path(void) {
    free(malloc(100000));
}

static void freed_memory_goes_back_by_itself(void) {
    static char *blocks[BLOCKS], *big[BIG_BLOCKS];
    assert_int_equal(mems_option_set("decay_ms", "50"), 0);
    memset(blocks, 1, sizeof blocks); /* resident before the first look */
    size_t before = resident();
    for (size_t i = 0; i < BLOCKS; i++) {
        size_t size = 16 + i * 37 % 500;
        blocks[i] = malloc(size);
        memset(blocks[i], 1, size);
    }
    for (size_t i = 0; i < BIG_BLOCKS; i++) {
        big[i] = malloc(BIG);
        memset(big[i], 1, BIG);
    }
    size_t full = resident();
    assert_true(full > before + BIG_BLOCKS * BIG);
    for (size_t i = 0; i < BLOCKS; i++) {
        free(blocks[i]);
    }
    for (size_t i = 0; i < BIG_BLOCKS; i++) {
        free(big[i]);
    }
    sleep_ms(200);
    /* each call does a little of it, if the clock has moved on */
    for (size_t calls = 0; calls < 5000 && resident() >= before + (full - before) / 10; calls++) {
        take_a_slow_path();
        sleep_ms(1);
    }
    assert_true(resident() < before + (full - before) / 10);
}

int main(void) {
    const struct CMUnitTest tests[] = {PLAIN(freed_memory_goes_back_by_itself)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
