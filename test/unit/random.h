/*
 * random.h - numbers for tests: the same in every run, unless TEST_SEED in the environment gives another seed.
 */
#ifndef MEMS_TEST_UNIT_RANDOM_H
#define MEMS_TEST_UNIT_RANDOM_H

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* xorshift64 (Marsaglia, 2003), its output multiplied so that the low bits are good, too. */
struct random {
    uint64_t state; /* never 0 */
};

/* Tells the seed, so that a failure can be run again with another one's numbers. */
static inline struct random random_start(void) {
    const char *text = getenv("TEST_SEED");
    uint64_t seed = text != NULL ? strtoull(text, NULL, 0) : 1;
    printf("TEST_SEED=%" PRIu64 "\n", seed);
    return (struct random){.state = seed != 0 ? seed : 1};
}

static inline uint64_t random_next(struct random *random) {
    random->state ^= random->state << 13;
    random->state ^= random->state >> 7;
    random->state ^= random->state << 17;
    return random->state * UINT64_C(0x2545f4914f6cdd1d);
}

/* One of 0 .. count - 1. */
static inline size_t random_below(struct random *random, size_t count) {
    return (size_t)((random_next(random) >> 16) % count);
}

/* A number of any magnitude: each length in bits, from 1 to `bits`, is equally likely. */
static inline uint64_t random_magnitude(struct random *random, unsigned bits) {
    unsigned length = 1 + (unsigned)random_below(random, bits);
    return (random_next(random) >> (64 - length)) | UINT64_C(1) << (length - 1);
}

#endif
