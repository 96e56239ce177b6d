/*
 * blocks.h - the live blocks of all heaps of a target, and which one contains an address.
 *
 * Blocks are numbered, so sets of blocks are bitmaps. The engine's are in rows: the slots of a slab, or a single large
 * or huge block; a row's numbers are consecutive, including slots that are not live. Those of HMM and the MeMS heap,
 * which have any size, are in sets, sorted by their starts.
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
    uint64_t magic; /* 2^64 / size, rounded up: the high half of its product with an offset is the slot */
    uint64_t first; /* the number of the first one */
    uint32_t slots;
    uint32_t kind;
    uint64_t born_s; /* the slab's; 0: unknown. For sampled blocks: the place of the first one in `sampled` */
};

struct extent {
    uint64_t start;
    uint64_t size;
};

/* Blocks of any size, ascending, within low .. high. The range is divided into equal buckets; `buckets` has the first
 * extent that ends in or behind each, so few comparisons are needed. */
struct set {
    uint64_t low;
    uint64_t high;
    struct extent *extents;
    uint32_t *numbers; /* of each; NULL: consecutive, from `first` on */
    size_t count;
    uint64_t first;
    uint32_t *buckets;
    unsigned shift; /* log2 of a bucket's bytes */
    enum block_kind kind;
};

/* Blocks far from each other are in several sets, so that buckets stay small. */
#define SETS_MAX 64u

struct blocks {
    uint64_t base; /* of the engine's window */
    uint64_t window_size;
    unsigned unit_shift;
    uint32_t *units;        /* of the window: its row, from 1; 0: none */
    struct row *rows;       /* by their first numbers */
    struct extent *sampled; /* one per cell of their spans; size 0: none is live there */
    size_t sampled_count;
    size_t row_count;
    size_t huge; /* the first huge block's row; these ascend, and come last */
    uint64_t huge_low, huge_high;
    struct set sets[SETS_MAX];
    size_t set_count;
    uint64_t set_low, set_high; /* of all sets */
    uint64_t numbers;           /* all are below this */
    uint64_t *live;             /* bits by number */
    uint64_t live_count;
    uint64_t live_bytes;
    const char *trouble; /* why a heap could not be walked completely, or NULL */
};

/* Finds all live blocks. */
void blocks_find(struct blocks *blocks, struct session *session);
void blocks_free(struct blocks *blocks);

/* *kind, and the slab's birth (0: unknown), unless `kind` is NULL. */
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

/* For blocks_at: huge blocks, and those of the other heaps. */
bool blocks_elsewhere(const struct blocks *blocks, uint64_t address, struct block *block);

/* The address must lie in the cell's block. */
static inline bool blocks_sampled(const struct blocks *blocks, const struct row *row, uint64_t cell, uint64_t address,
                                  struct block *block) {
    const struct extent *extent = &blocks->sampled[row->born_s + cell];
    *block = (struct block){row->first + cell, extent->start, extent->size};
    return address - extent->start < extent->size;
}

/* The slot or block of an address; it need not be live. */
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
