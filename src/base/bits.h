/*
 * bits.h - arithmetic on words: powers of two, rounding, checked sums.
 */
#ifndef MEMS_BASE_BITS_H
#define MEMS_BASE_BITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline bool is_power_of_two(size_t x) {
    return x != 0 && (x & (x - 1)) == 0;
}

/* The largest k with 2^k <= x; x is not 0. */
static inline unsigned floor_log2(uint64_t x) {
    return 63u - (unsigned)__builtin_clzll(x);
}

/* The index of the lowest set bit; x is not 0. */
static inline unsigned lowest_bit(uint64_t x) {
    return (unsigned)__builtin_ctzll(x);
}

/* x rounded to a multiple of `to`, a power of two. The caller rules out overflow. */
static inline size_t round_up(size_t x, size_t to) {
    return (x + (to - 1)) & ~(to - 1);
}

static inline size_t round_down(size_t x, size_t to) {
    return x & ~(to - 1);
}

static inline uint64_t rotate_right(uint64_t x, unsigned by) {
    return (x >> by) | (x << (64 - by));
}

#endif
