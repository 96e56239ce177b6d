#include "bitmap.h"

#include "bits.h"

/* The bits of a word that lie in first..end - 1, possibly none. The word must not lie past `end`. */
static uint64_t word_mask(size_t word, size_t first, size_t end) {
    size_t base = word * BITMAP_WORD_BITS;
    uint64_t mask = UINT64_MAX;
    if (first > base) {
        mask <<= first - base;
    }
    if (end - base < BITMAP_WORD_BITS) {
        mask &= ~(UINT64_MAX << (end - base));
    }
    return mask;
}

size_t bitmap_count_range(const bitmap_word *map, size_t first, size_t count) {
    size_t end = first + count;
    size_t set = 0;
    for (size_t word = first / BITMAP_WORD_BITS; word < bitmap_words(end); word++) {
        set += count_bits(bitmap_load(map, word) & word_mask(word, first, end));
    }
    return set;
}

size_t bitmap_find_clear(const bitmap_word *map, size_t first, size_t end) {
    for (size_t word = first / BITMAP_WORD_BITS; word < bitmap_words(end); word++) {
        uint64_t clear = ~bitmap_load(map, word) & word_mask(word, first, end);
        if (clear != 0) {
            return word * BITMAP_WORD_BITS + lowest_bit(clear);
        }
    }
    return BITMAP_NONE;
}
