/* random.h - random numbers for tests: the same in every run, unless TEST_SEED in the environment changes the seed. */
#pragma once

#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* splitmix64 (Steele, Lea and Flood, 2014). Every state is good: threads take 0, 1, 2, ... */
struct random {
    uint64_t state;
};

/* Prints the seed, so that a failure can be reproduced. */
static inline struct random random_start(void) {
    const char *text = getenv("TEST_SEED");
    struct random random = {.state = text != NULL ? strtoull(text, NULL, 0) : 1};
    printf("TEST_SEED=%" PRIu64 "\n", random.state);
    return random;
}

static inline uint64_t random_next(struct random *random) {
    uint64_t z = (random->state += UINT64_C(0x9E3779B97F4A7C15));
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

/* One of 0 .. count - 1. */
static inline size_t random_below(struct random *random, size_t count) {
    return (size_t)(random_next(random) % count);
}

/* 1 to `bits` bits; each length is equally likely. */
static inline uint64_t random_magnitude(struct random *random, unsigned bits) {
    unsigned length = 1 + (unsigned)random_below(random, bits);
    return (random_next(random) >> (64 - length)) | UINT64_C(1) << (length - 1);
}

/* Below 2^1 .. 2^bits, possibly 0; each bound is equally likely. */
static inline size_t random_size(struct random *random, unsigned bits) {
    return random_below(random, (size_t)2 << random_below(random, bits));
}
