/*
 * reserve.h - what a heap has put by beside its magazines, because it may soon be needed again: bundles of small
 * blocks, and a few large blocks.
 *
 * When a magazine as large as it may be is full, its older half is put by as a *bundle*; when it is empty, a bundle
 * comes back. A large block that its thread frees may be its next one too. So what goes out and comes back touches no
 * slab, and takes no lock. A reserve is given up when nobody has needed it for a while, when the heap would grow and
 * has much of it, or before an allocation fails.
 */
#ifndef MEMS_ENGINE_RESERVE_H
#define MEMS_ENGINE_RESERVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "magazine.h"

struct heap;
struct large;

/* The older half of a magazine of the largest capacity, oldest first. All blocks are proved. */
struct bundle {
    struct bundle *next; /* of the same class */
    void *blocks[(MAGAZINE_MAX + 1) / 2];
};

/* Of one class. */
struct stock {
    struct bundle *bundles;
    uint32_t count;
    uint32_t surplus; /* the fewest there were in this period of the decay: nobody has needed those */
};

struct reserve {
    uint32_t bundle_count; /* over all classes */
    uint32_t large_count;
    size_t bundle_bytes; /* in their blocks */
    size_t large_bytes;
    struct large *larges; /* the last put by comes first; their live bits are clear */
    struct bundle *empty; /* a bundle without blocks, kept for the next half magazine, or NULL */
    uint64_t period_ms;   /* when this period of the decay began, by the coarse clock */
};

static inline size_t reserve_bytes(const struct reserve *reserve) {
    return reserve->bundle_bytes + reserve->large_bytes;
}

/* How many blocks a bundle of a class has. */
unsigned bundle_size(unsigned size_class);

/* The older half of the heap's full magazine of a class becomes a bundle. False when there are enough, or no memory. */
bool reserve_put_half(struct heap *heap, unsigned size_class);

/* A bundle's blocks go into the heap's empty magazine of a class. False when there is none. */
bool reserve_bring_back(struct heap *heap, unsigned size_class);

/* Puts by a large block that is nobody's. False when it is too large, or enough is put by. */
bool reserve_put_large(struct heap *heap, struct large *large);

/* A large block of so many units that was put by; NULL when there is none. */
struct large *reserve_take_large(struct heap *heap, size_t units);

/* Gives the bundles of a class back to their slabs. */
void reserve_unload_class(struct heap *heap, unsigned size_class);

/* Gives all back. */
void reserve_unload(struct heap *heap);

/* For a heap that is about to grow: gives all back if that is a good part of what it has. True when it was. */
bool reserve_unload_much(struct heap *heap);

/* To be called on slow paths, with the time by the coarse clock: gives back the bundles that nobody has needed for as
 * long as the decay, and once in that time all large blocks. */
void reserve_decay(struct heap *heap, uint64_t now_ms);

#endif
