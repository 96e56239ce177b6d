/* bitmap.h - arrays of bits. Many readers, and one writer at a time, which the caller ensures. Each change is one
 * relaxed store of a word, so readers, core dumps and forked children see it before or after. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "compiler.h"

#define BITMAP_WORD_BITS 64u
#define BITMAP_NONE SIZE_MAX

typedef _Atomic uint64_t bitmap_word;

static inline size_t bitmap_words(size_t bits) {
    return (bits + (BITMAP_WORD_BITS - 1)) / BITMAP_WORD_BITS;
}

static inline uint64_t bitmap_load(const bitmap_word *map, size_t word) {
    return atomic_load_explicit(&map[word], memory_order_relaxed);
}

static inline void bitmap_store(bitmap_word *map, size_t word, uint64_t value) {
    atomic_store_explicit(&map[word], value, memory_order_relaxed);
}

static inline bool bitmap_test(const bitmap_word *map, size_t bit) {
    return (bitmap_load(map, bit / BITMAP_WORD_BITS) >> (bit % BITMAP_WORD_BITS)) & 1u;
}

static inline void bitmap_set(bitmap_word *map, size_t bit) {
    bitmap_word *word = &map[bit / BITMAP_WORD_BITS];
    uint64_t bits = atomic_load_explicit(word, memory_order_relaxed);
    bit_set(&bits, bit);
    atomic_store_explicit(word, bits, memory_order_relaxed);
}

static inline void bitmap_clear(bitmap_word *map, size_t bit) {
    size_t word = bit / BITMAP_WORD_BITS;
    bitmap_store(map, word, bitmap_load(map, word) & ~(UINT64_C(1) << (bit % BITMAP_WORD_BITS)));
}

size_t bitmap_count_range(const bitmap_word *map, size_t first, size_t count);

/* In `first`..`end` - 1, or BITMAP_NONE. */
size_t bitmap_find_clear(const bitmap_word *map, size_t first, size_t end);
