/*
 * reach.h - finds the blocks that can be reached: every aligned word that is an address in a block, its start or any
 * other, counts as a pointer to it.
 *
 * Pointers lead anywhere, and following each at once would miss the caches several times per block. So they are put,
 * unchecked, into bins by destination, which are processed one at a time: then the memory, tables and bits of one
 * stretch of the heap are used together.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "leaks/blocks.h"
#include "target/image.h"

/* log2 of the bytes to which a bin takes pointers. */
#define BIN_SHIFT 20u

/* Pointers come in chunks of this many. */
#define CHUNK_POINTERS 510u

struct reach_chunk {
    struct reach_chunk *next;         /* a full one */
    uint32_t offsets[CHUNK_POINTERS]; /* from where the bin begins */
};

/* The count is not in the chunk, so adding a pointer reads no memory far from the last one. */
struct reach_bin {
    struct reach_chunk *chunk; /* NULL: the bin is empty */
    uint64_t count;            /* of the pointers in this chunk */
};

/* What has bins: the engine's window, and each set of blocks.h. */
struct reach_region {
    uint64_t low;
    uint64_t size;
    uint64_t first; /* bin */
};

struct reach {
    const struct blocks *blocks;
    const struct image *image;
    uint64_t *unreached; /* by number: nothing has led to the block so far */
    struct reach_region regions[SETS_MAX + 1];
    size_t region_count;
    struct reach_bin *bins;
    struct reach_chunk *spare;
    uint64_t *waiting; /* non-empty bins, in the order in which they became so: a ring of bin_count */
    uint64_t bin_count, wait_first, wait_count;
    struct block *huge; /* blocks that have no bin */
    size_t huge_count;
    const struct image_range *range;       /* of the image; looked up last */
    uint64_t words;                        /* looked at */
    uint64_t reached_count, reached_bytes; /* blocks */

    uint64_t low, span; /* all blocks lie in low .. low + span - 1 */

    /* If the guard is not 0: the addresses that words seen so far would be if glibc mangled them with this guard. */
    uint64_t guard;
    uint64_t *mangled;
    size_t mangled_count;
};

/* `unreached`, the caller's, holds the candidates. */
void reach_start(struct reach *reach, const struct blocks *blocks, const struct image *image, uint64_t *unreached);
void reach_end(struct reach *reach);

/* Marks everything reachable from a root: memory, or words. */
void reach_from_memory(struct reach *reach, uint64_t start, uint64_t end);
void reach_from_words(struct reach *reach, const uint64_t *words, size_t count);

/* The same for what lies in a block. */
void reach_from_block(struct reach *reach, uint64_t number);

/* Its halves: the blocks that memory leads to; everything reachable from these. */
void reach_meet_memory(struct reach *reach, uint64_t start, uint64_t end);
void reach_finish(struct reach *reach);

/* Removes the bits of addresses that processors ignore. */
static inline uint64_t reach_address(uint64_t word) {
#if defined(__aarch64__)
    return word & (UINT64_MAX >> 8);
#else
    return word;
#endif
}

/* glibc mangles by an exclusive or with the guard and, on x86-64, a rotation. */
static inline uint64_t reach_unmangled(uint64_t word, uint64_t guard) {
#if defined(__x86_64__)
    return (word >> 17 | word << 47) ^ guard;
#else
    return word ^ guard;
#endif
}

/* Visits the words of start .. end that are in memory, at most a page at a time, until `visit` returns false: `words`
 * are those from `address` on. *hint: the range looked up last; initially NULL. */
bool reach_words(const struct image *image, const struct image_range **hint, uint64_t start, uint64_t end,
                 bool (*visit)(uint64_t address, const uint64_t *words, size_t count, void *context), void *context);
