/* leaked.h - leaked blocks, and those reached only from them. */
#pragma once

#include "leaks/blocks.h"
#include "target/image.h"

/* No other leaked block leads to it, except those that it leads to: then they are a cycle. */
struct leak {
    struct block block;
    enum block_kind kind;
    uint64_t born_s;      /* of its slab; 0: not known */
    uint64_t below_count; /* only it leads to these, or it was the first to */
    uint64_t below_bytes;
    bool is_cycle;
};

struct leaked {
    struct leak *leaks; /* by address */
    size_t count;
    uint64_t bytes;
    uint64_t below_count, below_bytes; /* their sums */
};

/* `bits`, by number: blocks that nothing else leads to. Each becomes a leak, or is counted below one. */
void leaked_find(struct leaked *leaked, const struct blocks *blocks, const struct image *image, const uint64_t *bits);
void leaked_free(struct leaked *leaked);
