/* marked.h - blocks whose bytes are derived from a mark and their position, to reveal blocks that overlap, and heaps
 * that copy, move or clear the wrong bytes. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Up to this size, or another that a block has, every byte is marked; beyond, bytes near the ends and words in between.
 */
#define MARKED_DENSE ((size_t)64 * 1024)
#define MARKED_END ((size_t)256)
#define MARKED_WORD sizeof(uint64_t)

struct marked {
    unsigned char *memory; /* NULL if there is no block */
    size_t size;           /* how much the test writes */
    uint64_t mark;
    size_t stride; /* distance of words between the ends, a multiple of 8; 0: about 32 words */
    size_t dense;  /* 0, or a size of MARKED_END or more, in place of MARKED_DENSE */
};

/* The word at an offset. */
static inline uint64_t marked_word(const struct marked *block, size_t at) {
    uint64_t word = (block->mark * UINT64_C(0xbf58476d1ce4e5b9) + at) * UINT64_C(0x9e3779b97f4a7c15);
    return word ^ word >> 32;
}

/* The next marked word's offset. */
static inline size_t marked_next(const struct marked *block, size_t at) {
    size_t last = block->size / MARKED_WORD * MARKED_WORD - MARKED_END; /* every word again from here on */
    size_t dense = block->dense != 0 ? block->dense : MARKED_DENSE;
    if (block->size <= dense || at < MARKED_END || at >= last) {
        return at + MARKED_WORD;
    }
    size_t stride = block->stride != 0 ? block->stride : 1024 + block->size / 32 / MARKED_WORD * MARKED_WORD;
    return at + stride < last ? at + stride : last;
}

/* The bytes of a word before `end`, at least one. By loads and stores instead of memcpy, because QEMU 7 takes memory
 * whose pages were moved twice for forbidden in such calls. */
static inline void marked_store(unsigned char *to, uint64_t word, size_t at, size_t end) {
    if (end - at >= MARKED_WORD) {
        __builtin_memcpy(to, &word, MARKED_WORD);
        return;
    }
    for (size_t i = 0; i < end - at; i++) {
        to[i] = (unsigned char)(word >> 8 * i);
    }
}

static inline bool marked_holds(const unsigned char *from, uint64_t word, size_t at, size_t end) {
    if (end - at >= MARKED_WORD) {
        uint64_t found;
        __builtin_memcpy(&found, from, MARKED_WORD);
        return found == word;
    }
    for (size_t i = 0; i < end - at; i++) {
        if (from[i] != (unsigned char)(word >> 8 * i)) {
            return false;
        }
    }
    return true;
}

static inline void marked_fill(const struct marked *block) {
    for (size_t at = 0; at < block->size; at = marked_next(block, at)) {
        marked_store(block->memory + at, marked_word(block, at), at, block->size);
    }
}

/* Checks the first `end` bytes. */
static inline bool marked_intact(const struct marked *block, size_t end) {
    end = end < block->size ? end : block->size;
    for (size_t at = 0; at < end; at = marked_next(block, at)) {
        if (!marked_holds(block->memory + at, marked_word(block, at), at, end)) {
            return false;
        }
    }
    return true;
}

/* Above 1 MiB, checks only the bytes that would be marked. */
static inline bool marked_zero(const struct marked *block) {
    const unsigned char *memory = block->memory;
    if (block->size <= (size_t)1024 * 1024) {
        return block->size == 0 || (memory[0] == 0 && memcmp(memory, memory + 1, block->size - 1) == 0);
    }
    for (size_t at = 0; at < block->size; at = marked_next(block, at)) {
        if (!marked_holds(memory + at, 0, at, block->size)) {
            return false;
        }
    }
    return true;
}
