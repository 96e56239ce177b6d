/*
 * reserve.h - what a heap has put by beside its magazines, because it may soon be needed again: bundles of small
 * blocks, and a few large blocks.
 *
 * When a magazine as large as it may be is full, its older half is put by as a *bundle*; when it is empty, a bundle
 * comes back. A large block that its thread frees may be its next one too. So what goes out and comes back touches no
 * slab, and takes no lock. A reserve is given up when nobody has needed it for a while, or when the heap would grow and
 * has much of it.
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
    uint32_t bundles; /* number, over all classes */
    uint32_t larges;
    size_t bundle_bytes; /* in their blocks */
    size_t large_bytes;
    struct large *large;  /* the one that was put by last; their live bits are clear */
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

/* Puts a large block by, which is nobody's. False when that is not worth while. */
bool reserve_put_large(struct heap *heap, struct large *large);

/* A large block of so many units that was put by; NULL when there is none. */
struct large *reserve_take_large(struct heap *heap, size_t units);

/* Gives the bundles of a class back to their slabs. */
void reserve_unload_class(struct heap *heap, unsigned size_class);

/* Gives all back. */
void reserve_unload(struct heap *heap);

/* For a heap that is about to grow: gives all back if that is a good part of what it has. True when it was. */
bool reserve_unload_much(struct heap *heap);

/* To be called on slow paths, with the time by the coarse clock: gives back what nobody has needed for as long as the
 * decay. */
void reserve_decay(struct heap *heap, uint64_t now_ms);

#endif
