/*
 * bins.h - free pieces by size: a two-level, segregated index with good fit in constant time.
 *
 * A size, counted in the user's grain (units of 64 KiB, multiples of 8 or 16 bytes), falls into one of BINS_LEVELS
 * powers of two, each divided into BINS_STEPS bins of equal width. Sizes below BINS_STEPS have a bin each. One bit per
 * level and one per bin say which are not empty, so that finding a bin takes two bit scans.
 *
 *   level:  0: 1 2 .. 15 (exact) | 1: 16 17 .. 31 (exact) | 2: 32-33 34-35 .. 62-63 | 3: 64-67 .. | ...
 *
 * The idea is that of TLSF (Masmano, Ripoll, Crespo, Real: "TLSF: a New Dynamic Memory Allocator for Real-Time
 * Systems", 2004). The nodes are embedded in the user's own descriptors. No locking: the caller's lock guards the
 * index.
 */
#ifndef MEMS_BASE_BINS_H
#define MEMS_BASE_BINS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "prefix.h"

#define BINS_STEP_BITS 4u
#define BINS_STEPS (1u << BINS_STEP_BITS)
#define BINS_LEVELS 32u
/* The largest size that has a bin of its own kind; larger ones share the last bin. */
#define BINS_SIZE_MAX ((UINT64_C(1) << (BINS_LEVELS + BINS_STEP_BITS - 1)) - 1)

struct bins_node {
    struct bins_node *next; /* in its bin; NULL for the last */
    struct bins_node *prev; /* NULL for the first */
    uint64_t size;          /* in grains, 1 or more; unchanged while the node is in the index */
};

/* Which bins are not empty. Invariant: level bit l is set iff some step bit of level l is. */
struct bins_map {
    uint32_t levels;
    uint16_t steps[BINS_LEVELS];
};

/*
 * All zero is a valid, empty index: it needs no initialisation, and in memory fresh from the system it costs no page
 * until the first insertion.
 *
 * Invariants: step bit s of level l is set iff heads[l][s] is not NULL; every node in heads[l][s] has a size of that
 * bin.
 */
struct bins {
    struct bins_map map;
    struct bins_node *heads[BINS_LEVELS][BINS_STEPS];
};

/* Adds a node of `size` grains; it becomes the first of its bin. O(1). */
void bins_insert(struct bins *bins, struct bins_node *node, uint64_t size);

/* Takes out a node that is in the index. O(1). */
void bins_remove(struct bins *bins, struct bins_node *node);

/*
 * A node of at least `size` grains, left in the index; NULL when there is none. It looks at the first few nodes of the
 * size's own bin, then takes the first node of the next larger bin that is not empty (all of its nodes fit): O(1), and
 * at most one part in BINS_STEPS larger than the best fit of those. Only when no larger bin has a node does it walk the
 * rest of its own bin, so that a fitting node is never missed.
 */
struct bins_node *bins_find(const struct bins *bins, uint64_t size);

/* True when all invariants hold; otherwise *why names the first that does not. O(number of nodes). */
bool bins_valid(const struct bins *bins, const char **why);

/*
 * For those who keep the pieces of a bin in a structure of their own rather than in a list: the bin of a size; whether
 * a bin is empty, told to the map; and the smallest bin that is not empty and larger than the given one (false: there
 * is none).
 */
void bins_place(uint64_t size, unsigned *level, unsigned *step);
void bins_map_set(struct bins_map *map, unsigned level, unsigned step);
void bins_map_clear(struct bins_map *map, unsigned level, unsigned step);
bool bins_map_above(const struct bins_map *map, unsigned *level, unsigned *step);

static inline bool bins_map_get(const struct bins_map *map, unsigned level, unsigned step) {
    return (map->steps[level] >> step) & 1u;
}

#endif
