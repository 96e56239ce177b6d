/* word.h - bits of a machine word, without compiler helpers, which small devices lack. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "config.h"

#if defined(__x86_64__) || defined(__i386__) || defined(__aarch64__) || defined(__ARM_FEATURE_CLZ) || \
    defined(__powerpc__) || defined(__s390x__)
#define WORD_COUNTS_ZEROES 1
#else
#define WORD_COUNTS_ZEROES 0
#endif

/* The largest k with 2^k <= x; x is not 0. */
static inline unsigned word_log2(uintptr_t x) {
#if WORD_COUNTS_ZEROES
    return sizeof x == sizeof(long) ? WORD_BITS - 1 - (unsigned)__builtin_clzl(x)
                                    : WORD_BITS - 1 - (unsigned)__builtin_clzll(x);
#else
    unsigned log = 0;
    for (unsigned half = WORD_BITS / 2; half > 0; half /= 2) {
        if (x >> half != 0) {
            x >>= half;
            log += half;
        }
    }
    return log;
#endif
}

static inline unsigned word_lowest(uintptr_t x) {
#if WORD_COUNTS_ZEROES
    return sizeof x == sizeof(long) ? (unsigned)__builtin_ctzl(x) : (unsigned)__builtin_ctzll(x);
#else
    return word_log2(x & (0 - x));
#endif
}

static inline uintptr_t word_rotate(uintptr_t x, unsigned by) {
    return (x >> by) | (x << (WORD_BITS - by));
}

/* *product = a * b; false on overflow. */
static inline bool word_multiply(size_t a, size_t b, size_t *product) {
#if UINTPTR_MAX > UINT32_MAX
    return !__builtin_mul_overflow(a, b, product);
#else
    size_t a_high = a >> 16, b_high = b >> 16;
    size_t middle = a_high * (b & 0xffff) + (a & 0xffff) * b_high; /* one is 0, or the product overflows anyway */
    return (a_high == 0 || b_high == 0) && middle >> 16 == 0 &&
           !__builtin_add_overflow(middle << 16, (a & 0xffff) * (b & 0xffff), product);
#endif
}
