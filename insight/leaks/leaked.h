/*
 * leaked.h - leaked blocks, and the blocks that are only reached from them.
 */
#pragma once

#include "leaks/blocks.h"
#include "target/image.h"

/* A block that no other leaked one leads to, except those that it leads to itself: then they are a cycle. */
struct leak {
    struct block block;
    enum block_kind kind;
    uint64_t born_s;      /* of its slab; 0: not known */
    uint64_t below_count; /* blocks that only it leads to, or that it leads to first */
    uint64_t below_bytes;
    bool is_cycle;
};

struct leaked {
    struct leak *leaks; /* by address */
    size_t count;
    uint64_t bytes;
    uint64_t below_count, below_bytes; /* their sums */
};

/* Finds the leaks among blocks that nothing else leads to: `bits` by number. Each of these is a leak, or counted as
 * below one. */
void leaked_find(struct leaked *leaked, const struct blocks *blocks, const struct image *image, const uint64_t *bits);
void leaked_free(struct leaked *leaked);
