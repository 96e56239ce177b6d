/*
 * blocks.h - the live blocks of all heaps of a target, and finding the one that contains an address.
 *
 * Blocks are numbered. The engine's are in rows: the slots of a slab, or a single large or huge block; a row's numbers
 * are consecutive, including slots that are not live. Those of HMM and the MeMS heap, which have any size, are in sets,
 * sorted by their starts. So sets of blocks are bitmaps by number.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "walk/session.h"

enum block_kind { BLOCK_SMALL, BLOCK_LARGE, BLOCK_HUGE, BLOCK_HMM, BLOCK_SPACE, BLOCK_SAMPLED };

/* The number and the place of a block. */
struct block {
    uint64_t number;
    uint64_t start;
    uint64_t size;
};

/* Consecutive blocks of one size. */
struct row {
    uint64_t start;
    uint64_t size;  /* of each */
    uint64_t magic; /* 2^64 / size, rounded up: multiplied by an offset, its high half is the slot */
    uint64_t first; /* the number of the first one */
    uint32_t slots;
    uint32_t kind;
    uint64_t born_s; /* of the slab; 0: not known. Of sampled blocks: the place of the first one in `sampled` */
};

struct extent {
    uint64_t start;
    uint64_t size;
};

/*
 * Blocks of any size in ascending order, within low .. high. The range is divided into equal buckets; `buckets` has the
 * first extent that ends in or behind each, so few comparisons are needed.
 */
struct set {
    uint64_t low;
    uint64_t high;
    struct extent *extents;
    uint32_t *numbers; /* of each, from `first` on; NULL: they follow each other */
    size_t count;
    uint64_t first;
    uint32_t *buckets;
    unsigned shift; /* log2 of a bucket's bytes */
    enum block_kind kind;
};

/* Sets: blocks far from each other are in several, so that buckets stay small. */
#define SETS_MAX 64u

struct blocks {
    uint64_t base; /* of the engine's window */
    uint64_t window_size;
    unsigned unit_shift;
    uint32_t *units;        /* of the window: the row that is there, from 1 on; 0: none */
    struct row *rows;       /* by their first numbers */
    struct extent *sampled; /* sampled blocks, one for each cell of their spans; size 0: none is live there */
    size_t sampled_count;
    size_t row_count;
    size_t huge; /* the first row of a huge block; these are ascending, and come last */
    uint64_t huge_low, huge_high;
    struct set sets[SETS_MAX];
    size_t set_count;
    uint64_t set_low, set_high; /* of all sets */
    uint64_t numbers;           /* all are below this */
    uint64_t *live;             /* bits by number */
    uint64_t live_count;
    uint64_t live_bytes;
    const char *trouble; /* why a heap could not be walked completely; NULL: all were */
};

/* Finds all live blocks. */
void blocks_find(struct blocks *blocks, struct session *session);
void blocks_free(struct blocks *blocks);

/* The block of a number. *kind, and the birth of its slab (0: not known) if `kind` is not NULL. */
struct block blocks_by_number(const struct blocks *blocks, uint64_t number, enum block_kind *kind, uint64_t *born_s);

/* The first number from `number` on whose bit is set, or blocks->numbers. */
uint64_t blocks_next(const struct blocks *blocks, const uint64_t *bits, uint64_t number);

static inline bool block_bit(const uint64_t *bits, uint64_t number) {
    return bits[number / 64] >> number % 64 & 1;
}

static inline void block_set(uint64_t *bits, uint64_t number) {
    bits[number / 64] |= (uint64_t)1 << number % 64;
}

static inline void block_clear(uint64_t *bits, uint64_t number) {
    bits[number / 64] &= ~((uint64_t)1 << number % 64);
}

/* Bits for all numbers, clear. */
uint64_t *blocks_bits(const struct blocks *blocks);

/* The slow half of blocks_at: huge blocks, and those of the other heaps. */
bool blocks_elsewhere(const struct blocks *blocks, uint64_t address, struct block *block);

/* The sampled block of a cell; the address must lie in it. */
static inline bool blocks_sampled(const struct blocks *blocks, const struct row *row, uint64_t cell, uint64_t address,
                                  struct block *block) {
    const struct extent *extent = &blocks->sampled[row->born_s + cell];
    *block = (struct block){row->first + cell, extent->start, extent->size};
    return address - extent->start < extent->size;
}

/* The slot or block that an address lies in; it need not be live. */
static inline bool blocks_at(const struct blocks *blocks, uint64_t address, struct block *block) {
    const uint64_t offset = address - blocks->base;
    if (offset >= blocks->window_size) {
        return (address - blocks->huge_low < blocks->huge_high - blocks->huge_low ||
                address - blocks->set_low < blocks->set_high - blocks->set_low) &&
               blocks_elsewhere(blocks, address, block);
    }
    const uint32_t place = blocks->units[offset >> blocks->unit_shift];
    if (place == 0) {
        return false;
    }
    const struct row *row = &blocks->rows[place - 1];
    const uint64_t slot = (uint64_t)((unsigned __int128)(address - row->start) * row->magic >> 64);
    if (slot >= row->slots) {
        return false;
    }
    if (row->kind == BLOCK_SAMPLED) {
        return blocks_sampled(blocks, row, slot, address, block);
    }
    *block = (struct block){row->first + slot, row->start + slot * row->size, row->size};
    return true;
}
