/*
 * marked.h - blocks whose bytes are derived from a mark and from their place, so that it shows when two blocks overlap
 * or a heap copies, moves or clears the wrong bytes.
 */
#ifndef MEMS_TEST_SUPPORT_MARKED_H
#define MEMS_TEST_SUPPORT_MARKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Every byte of a block of this size or less is marked. In larger blocks it is the bytes near the ends, and words
 * between them. */
#define MARKED_DENSE ((size_t)64 * 1024)
#define MARKED_END ((size_t)256)
#define MARKED_WORD sizeof(uint64_t)

struct marked {
    unsigned char *memory; /* NULL: there is no block */
    size_t size;           /* what the test writes */
    uint64_t mark;
    size_t stride; /* from word to word between the ends, a multiple of 8; 0: there are about 32 */
};

/* The word at an offset. */
static inline uint64_t marked_word(const struct marked *block, size_t at) {
    uint64_t word = (block->mark * UINT64_C(0xbf58476d1ce4e5b9) + at) * UINT64_C(0x9e3779b97f4a7c15);
    return word ^ word >> 32;
}

/* The offset of the marked word behind the one at `at`. */
static inline size_t marked_next(const struct marked *block, size_t at) {
    size_t last = block->size / MARKED_WORD * MARKED_WORD - MARKED_END; /* from here on every word again */
    if (block->size <= MARKED_DENSE || at < MARKED_END || at >= last) {
        return at + MARKED_WORD;
    }
    size_t stride = block->stride != 0 ? block->stride : 1024 + block->size / 32 / MARKED_WORD * MARKED_WORD;
    return at + stride < last ? at + stride : last;
}

/* How many bytes of a word lie before `end`, which lies behind its first byte. */
static inline size_t marked_part(size_t at, size_t end) {
    return end - at < MARKED_WORD ? end - at : MARKED_WORD;
}

static inline void marked_fill(const struct marked *block) {
    for (size_t at = 0; at < block->size; at = marked_next(block, at)) {
        uint64_t word = marked_word(block, at);
        size_t part = marked_part(at, block->size);
        if (part == MARKED_WORD) {
            __builtin_memcpy(block->memory + at, &word, MARKED_WORD); /* a store, also under -fno-builtin */
        } else {
            memcpy(block->memory + at, &word, part);
        }
    }
}

/* Whether the marks that marked_fill() has left in the first `end` bytes are there. */
static inline bool marked_intact(const struct marked *block, size_t end) {
    end = end < block->size ? end : block->size;
    for (size_t at = 0; at < end; at = marked_next(block, at)) {
        uint64_t word = marked_word(block, at);
        uint64_t found = word;
        size_t part = marked_part(at, end);
        if (part == MARKED_WORD) {
            __builtin_memcpy(&found, block->memory + at, MARKED_WORD);
        } else {
            memcpy(&found, block->memory + at, part);
        }
        if (found != word) {
            return false;
        }
    }
    return true;
}

/* Whether the block reads as zero: every byte, but only those that would be marked in a block of more than 1 MiB. */
static inline bool marked_zero(const struct marked *block) {
    const unsigned char *memory = block->memory;
    if (block->size <= (size_t)1024 * 1024) {
        return block->size == 0 || (memory[0] == 0 && memcmp(memory, memory + 1, block->size - 1) == 0);
    }
    for (size_t at = 0; at < block->size; at = marked_next(block, at)) {
        static const unsigned char zero[MARKED_WORD];
        if (memcmp(memory + at, zero, marked_part(at, block->size)) != 0) {
            return false;
        }
    }
    return true;
}

#endif
