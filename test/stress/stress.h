/*
 * stress.h - what the stress tests share: checks that work in every thread, marked blocks, and the heap at rest.
 */
#ifndef MEMS_TEST_STRESS_H
#define MEMS_TEST_STRESS_H

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/engine.h"
#include "engine/stats.h"
#include "mems.h"

#if defined(__SANITIZE_THREAD__)
#define UNDER_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define UNDER_TSAN 1
#endif
#endif
#ifndef UNDER_TSAN
#define UNDER_TSAN 0
#endif

#define KIB ((size_t)1024)
#define MIB ((size_t)1024 * 1024)

/* cmocka's own asserts jump out of the test, which only its own thread may do: these end the program. */
#define CHECK(condition) ((condition) ? (void)0 : check_failed(__FILE__, __LINE__, #condition))
#define CHECK_AT_MOST(value, bound) check_at_most(__FILE__, __LINE__, #value, (value), (bound))
#define CHECK_VALID() check_valid(__FILE__, __LINE__)

_Noreturn static inline void check_failed(const char *file, int line, const char *what) {
    fprintf(stderr, "%s:%d: failed: %s\n", file, line, what);
    abort();
}

static inline void check_at_most(const char *file, int line, const char *what, size_t value, size_t bound) {
    if (value > bound) {
        fprintf(stderr, "%s:%d: %s is %zu, more than %zu\n", file, line, what, value, bound);
        abort();
    }
}

static inline void check_valid(const char *file, int line) {
    const char *why = "no reason given";
    if (!engine_valid(&why)) {
        check_failed(file, line, why);
    }
}

/* n, or the percentage of it that STRESS_SCALE asks for; at least 1. */
static inline unsigned scaled(unsigned n) {
    const char *scale = getenv("STRESS_SCALE");
    unsigned long percent = scale != NULL ? strtoul(scale, NULL, 10) : 100;
    uint64_t result = (uint64_t)n * percent / 100;
    return result > 0 ? (unsigned)result : 1;
}

/* splitmix64: any state is a good one, also 0, 1, 2, ... */
static inline uint64_t next_random(uint64_t *state) {
    uint64_t z = (*state += UINT64_C(0x9E3779B97F4A7C15));
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

static inline size_t random_below(uint64_t *state, size_t bound) {
    return (size_t)(next_random(state) % bound);
}

/* A size below 2^(1..bits): all magnitudes are equally likely. */
static inline size_t random_size(uint64_t *state, unsigned bits) {
    return random_below(state, (size_t)2 << random_below(state, bits));
}

/* A block in the test's hands. Its bytes are derived from `mark`, so that two blocks that overlap show. */
struct block {
    unsigned char *memory;
    size_t size;
    uint64_t mark;
};

/* The next offset that carries a mark: all bytes near the ends, and between them up to 32, at most four a page. */
static inline size_t block_next(size_t size, size_t offset) {
    const size_t end = 256, step = 1021 + size / 32;
    if (offset < end || offset + end >= size) {
        return offset + 1;
    }
    return offset + end + step < size ? offset + step : size - end;
}

static inline unsigned char block_byte(uint64_t mark, size_t offset) {
    return (unsigned char)((mark >> (8 * (offset % 8))) ^ (offset >> 3));
}

static inline void block_fill(const struct block *block) {
    for (size_t at = 0; at < block->size; at = block_next(block->size, at)) {
        block->memory[at] = block_byte(block->mark, at);
    }
}

/* Whether the marks at offsets below `end` are those that block_fill() wrote. */
static inline bool block_intact(const struct block *block, size_t end) {
    for (size_t at = 0; at < block->size && at < end; at = block_next(block->size, at)) {
        if (block->memory[at] != block_byte(block->mark, at)) {
            return false;
        }
    }
    return true;
}

/* Whether it reads as zero: every byte, but in the largest blocks those that would carry marks. */
static inline bool block_zero(const struct block *block) {
    unsigned char any = 0;
    for (size_t at = 0; at < block->size; at = block->size <= MIB ? at + 1 : block_next(block->size, at)) {
        any |= block->memory[at];
    }
    return any == 0;
}

/* Runs a function in a thread of its own, so that the test's main thread never owns a heap. */
static inline void run_in_thread(void *(*function)(void *), void *argument) {
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, function, argument) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
}

/* When every thread that used the engine has ended and every block has been freed, nothing remains but free memory. */
static inline void check_nothing_left(void) {
    struct mems_engine_stats stats;
    engine_trim();
    CHECK_VALID();
    stats_collect(&stats);
    CHECK_AT_MOST(stats.live, 0);
    CHECK_AT_MOST(stats.cached, 0);
    CHECK_AT_MOST(stats.dirty, 0);
    CHECK_AT_MOST(stats.large_blocks, 0);
    CHECK_AT_MOST(stats.huge_blocks, 0);
    CHECK_AT_MOST((size_t)stats.threads, 1);
    CHECK(stats.slack + stats.free + stats.untouched + stats.fresh == stats.accessible);
}

#endif
