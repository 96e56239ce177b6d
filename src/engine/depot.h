/*
 * depot.h - what a heap keeps beside its magazines, because it may soon be needed again: stored magazines of small
 * blocks.
 *
 * When a magazine of the largest capacity is full, it is stored, all but its newest quarter, which goes into an empty
 * one; when that is used up, a stored one takes its place. So what goes out and comes back touches no slab. A depot is
 * given up when it has not been needed for a while, when the heap would grow and much is in it, or before an allocation
 * fails.
 *
 * All under the lock of the depot's heap.
 */
#ifndef MEMS_ENGINE_DEPOT_H
#define MEMS_ENGINE_DEPOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "magazine.h"
#include "size_class.h"

struct heap;

/* Of a full magazine this part stays at hand: the newest blocks, whose lines the processor has in its caches. */
#define KEPT_SHARE 4u

/* A magazine that was full: its older three quarters, oldest first, where they lay in it. No block is live. */
struct stored {
    struct stored *next; /* of the same class, or the next empty one */
    void *slots[MAGAZINE_SLOTS - 1];
};

_Static_assert(sizeof(struct stored) == MAGAZINE_SIZE, "a stored magazine's first slot is its link");

/* Of one class. */
struct stock {
    struct stored *magazines;
    uint32_t count;
    uint32_t surplus; /* the fewest there were in this period of the decay: those were not needed */
};

struct depot {
    uint32_t stored_count; /* over all classes */
    size_t stored_bytes;   /* in their blocks */
    size_t stored_credit;  /* drawn from the bound over all heaps beyond stored_bytes */
    struct stored *empty;  /* magazines without blocks: one for each that came back, until the next is stored */
    uint64_t period_ms;    /* when this period of the decay began, by the coarse clock */
};

static inline size_t depot_bytes(const struct depot *depot) {
    return depot->stored_bytes;
}

/* Whether there is nothing to give back, to the heap's slabs or to the bound over all heaps. */
static inline bool depot_empty(const struct depot *depot) {
    return depot_bytes(depot) + depot->stored_credit == 0;
}

/* How many blocks a stored magazine of a class has, and where they are. */
unsigned stored_size(unsigned size_class);
void *const *stored_blocks(const struct stored *stored, unsigned size_class);

/* Stores the heap's full magazine of a class, all but its newest blocks. False when it is not of the largest capacity,
 * the depot is full, or there is no memory. */
bool depot_put_full(struct heap *heap, unsigned size_class);

/* A stored magazine takes the place of the heap's empty one of a class. False when there is none. */
bool depot_bring_back(struct heap *heap, unsigned size_class);

/* Gives the blocks of a class back to their slabs. */
void depot_unload_class(struct heap *heap, unsigned size_class);

/* Gives all back. */
void depot_unload(struct heap *heap);

/* For a heap that is about to grow: gives all back if that is a good part of what it has. True when it was. */
bool depot_unload_much(struct heap *heap);

/* With the time by the coarse clock: gives back the magazines that were not needed for as long as the decay. Returns
 * how many units of memory are free for it that the system may have. */
size_t depot_decay(struct heap *heap, uint64_t now_ms);

#endif
