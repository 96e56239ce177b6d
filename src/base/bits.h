/* bits.h - powers of two, rounding, checked sums. */
#pragma once

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

/* In sums of 2, 4 and 8 bits, because the builtin may be a call. */
static inline unsigned count_bits(uint64_t x) {
    x -= x >> 1 & UINT64_C(0x5555555555555555);
    x = (x & UINT64_C(0x3333333333333333)) + (x >> 2 & UINT64_C(0x3333333333333333));
    x = (x + (x >> 4)) & UINT64_C(0x0f0f0f0f0f0f0f0f);
    return (unsigned)(x * UINT64_C(0x0101010101010101) >> 56);
}

/* Of two words, at little more cost than for one. */
static inline unsigned count_bits_of_two(uint64_t x, uint64_t y) {
    x -= x >> 1 & UINT64_C(0x5555555555555555);
    y -= y >> 1 & UINT64_C(0x5555555555555555);
    x = (x & UINT64_C(0x3333333333333333)) + (x >> 2 & UINT64_C(0x3333333333333333));
    x += (y & UINT64_C(0x3333333333333333)) + (y >> 2 & UINT64_C(0x3333333333333333));
    x = (x & UINT64_C(0x0f0f0f0f0f0f0f0f)) + (x >> 4 & UINT64_C(0x0f0f0f0f0f0f0f0f));
    return (unsigned)(x * UINT64_C(0x0101010101010101) >> 56);
}

/* `to` is a power of two. The caller must rule out overflow. */
static inline size_t round_up(size_t x, size_t to) {
    return (x + (to - 1)) & ~(to - 1);
}

static inline size_t round_down(size_t x, size_t to) {
    return x & ~(to - 1);
}

static inline size_t min_size(size_t a, size_t b) {
    return a < b ? a : b;
}

static inline size_t max_size(size_t a, size_t b) {
    return a > b ? a : b;
}

static inline uint64_t rotate_right(uint64_t x, unsigned by) {
    return (x >> by) | (x << (64 - by));
}
