/*
 * reserve.h - what a heap has put by beside its magazines, because it may soon be needed again: bundles of small
 * blocks, and a few large blocks.
 *
 * When a magazine as large as it may be is full, it is put aside as a *bundle*, all but its newest quarter, which goes
 * into an empty one; when that is used up, a bundle takes its place. A large block that its thread frees may be its
 * next one too. So what goes out and comes back touches no slab, and takes no lock. A reserve is given up when nobody
 * has needed it for a while, when the heap would grow and has much of it, or before an allocation fails.
 */
#ifndef MEMS_ENGINE_RESERVE_H
#define MEMS_ENGINE_RESERVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "magazine.h"

struct heap;
struct large;

/* A magazine of the largest capacity that was full: its older three quarters, oldest first, where they lay in it. All
 * blocks are proved. */
struct bundle {
    struct bundle *next; /* of the same class, or the next empty one */
    void *slots[MAGAZINE_SLOTS - 1];
};

_Static_assert(sizeof(struct bundle) == MAGAZINE_SIZE, "a bundle is a magazine whose first slot is a link");

/* Of one class. */
struct stock {
    struct bundle *bundles;
    uint32_t count;
    uint32_t surplus; /* the fewest there were in this period of the decay: nobody has needed those */
};

struct reserve {
    uint32_t bundle_count; /* over all classes */
    uint32_t large_count;
    size_t bundle_bytes;  /* in their blocks */
    size_t bundle_credit; /* drawn from the bound over all heaps beyond bundle_bytes */
    size_t large_bytes;
    struct large *larges; /* the last put by comes first; their live bits are clear */
    struct bundle *empty; /* magazines without blocks: for each bundle that came back, until the next goes out */
    uint64_t period_ms;   /* when this period of the decay began, by the coarse clock */
};

static inline size_t reserve_bytes(const struct reserve *reserve) {
    return reserve->bundle_bytes + reserve->large_bytes;
}

/* Whether there is nothing to give back, to the heap's slabs or to the bound over all heaps. */
static inline bool reserve_empty(const struct reserve *reserve) {
    return reserve_bytes(reserve) + reserve->bundle_credit == 0;
}

/* How many blocks a bundle of a class has, and where they are. */
unsigned bundle_size(unsigned size_class);
void *const *bundle_blocks(const struct bundle *bundle, unsigned size_class);

/* The heap's full magazine of a class becomes a bundle, all but its newest blocks. False when there are enough bundles,
 * or there is no memory. */
bool reserve_put_full(struct heap *heap, unsigned size_class);

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
