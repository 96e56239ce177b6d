#include "bitmap.h"

#include "bits.h"

/* Those bits of word `word` that lie in first..end - 1, perhaps none; the word does not lie past `end`. */
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

void bitmap_set_range(bitmap_word *map, size_t first, size_t count) {
    size_t end = first + count;
    for (size_t word = first / BITMAP_WORD_BITS; word < bitmap_words(end); word++) {
        bitmap_store(map, word, bitmap_load(map, word) | word_mask(word, first, end));
    }
}

void bitmap_clear_range(bitmap_word *map, size_t first, size_t count) {
    size_t end = first + count;
    for (size_t word = first / BITMAP_WORD_BITS; word < bitmap_words(end); word++) {
        bitmap_store(map, word, bitmap_load(map, word) & ~word_mask(word, first, end));
    }
}

size_t bitmap_count_range(const bitmap_word *map, size_t first, size_t count) {
    size_t end = first + count;
    size_t set = 0;
    for (size_t word = first / BITMAP_WORD_BITS; word < bitmap_words(end); word++) {
        set += (size_t)__builtin_popcountll(bitmap_load(map, word) & word_mask(word, first, end));
    }
    return set;
}

/* The first bit in first..end - 1 that is set once its word was XORed with `flip`. */
static size_t find(const bitmap_word *map, size_t first, size_t end, uint64_t flip) {
    for (size_t word = first / BITMAP_WORD_BITS; word < bitmap_words(end); word++) {
        uint64_t found = (bitmap_load(map, word) ^ flip) & word_mask(word, first, end);
        if (found != 0) {
            return word * BITMAP_WORD_BITS + lowest_bit(found);
        }
    }
    return BITMAP_NONE;
}

size_t bitmap_find_set(const bitmap_word *map, size_t first, size_t end) {
    return find(map, first, end, 0);
}

size_t bitmap_find_clear(const bitmap_word *map, size_t first, size_t end) {
    return find(map, first, end, UINT64_MAX);
}
