/*
 * bins.h - two-level bins by size, and a map of the non-empty ones.
 *
 * Each power of two is a level of BINS_STEPS bins of equal width; each size below BINS_STEPS has a bin. A bit per level
 * and per bin tells which are non-empty, so two bit scans find the next larger one. The caller stores the contents, and
 * locks.
 *
 *   level:  0: 1 2 .. 15 (exact) | 1: 16 17 .. 31 (exact) | 2: 32-33 34-35 .. 62-63 | 3: 64-67 .. | ...
 *
 * After TLSF (Masmano, Ripoll, Crespo, Real: "TLSF: a New Dynamic Memory Allocator for Real-Time Systems", 2004).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define BINS_STEP_BITS 4u
#define BINS_STEPS (1u << BINS_STEP_BITS)
#define BINS_LEVELS 32u
/* Larger sizes share the last bin. */
#define BINS_SIZE_MAX ((UINT64_C(1) << (BINS_LEVELS + BINS_STEP_BITS - 1)) - 1)

/* Invariant: bit l of levels is set if and only if steps[l] is not 0. */
struct bins_map {
    uint32_t levels;
    uint16_t steps[BINS_LEVELS];
};

void bins_place(uint64_t size, unsigned *level, unsigned *step);

void bins_map_set(struct bins_map *map, unsigned level, unsigned step);
void bins_map_clear(struct bins_map *map, unsigned level, unsigned step);

/* The next larger non-empty bin; false if there is none. */
bool bins_map_above(const struct bins_map *map, unsigned *level, unsigned *step);

static inline bool bins_map_get(const struct bins_map *map, unsigned level, unsigned step) {
    return (map->steps[level] >> step) & 1u;
}
