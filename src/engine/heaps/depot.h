/* depot.h - stored magazines of blocks that a heap may soon need again. When a magazine of the largest capacity is
 * full, it is stored, except for its newest quarter, which goes into an empty one. When that is used up, a stored one
 * takes its place, so such blocks touch no slab. A depot is flushed if it has not been needed for a while, if the heap
 * would grow and the depot is large, or before an allocation fails. All under the lock of the depot's heap. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/tables/size_class.h"
#include "magazine.h"

struct heap;

/* This part of a full magazine is kept: the newest blocks, which are in the processor's caches. */
#define KEPT_SHARE 4u

/* The older three quarters of a full magazine, where they were in it, the oldest first; none is live. It has as many
 * slots as the class's largest magazine. */
struct stored {
    struct stored *next; /* of the same class, or the next empty one */
    void *slots[MAGAZINE_MAX];
};

/* The sizes of magazines: small, and two of wide ones. */
#define MAGAZINE_SIZES 3u

_Static_assert(sizeof(struct stored) == MAGAZINE_SIZE << (MAGAZINE_SIZES - 1), "a magazine's first slot is its link");

/* Of one class. */
struct stock {
    struct stored *magazines;
    uint32_t count;
    uint32_t surplus; /* the minimum of `count` in this decay period: that many were not needed */
};

struct depot {
    uint32_t stored_count;                /* over all classes */
    size_t stored_bytes;                  /* in their blocks */
    size_t stored_credit;                 /* drawn from the bound over all heaps, beyond stored_bytes */
    struct stored *empty[MAGAZINE_SIZES]; /* without blocks, by size: one for each that came back, until the next is
                                             stored */
    uint64_t period_ms;                   /* the start of this decay period, by the coarse clock */
};

static inline size_t depot_bytes(const struct depot *depot) {
    return depot->stored_bytes;
}

/* Whether there is nothing to flush, and nothing to return to the bound over all heaps. */
static inline bool depot_empty(const struct depot *depot) {
    return depot_bytes(depot) + depot->stored_credit == 0;
}

/* How many blocks a stored magazine of a class has, and where. */
unsigned stored_size(unsigned size_class);
void *const *stored_blocks(const struct stored *stored, unsigned size_class);

/* Stores the heap's full magazine of a class, except its newest blocks. False if it or the depot has no room. */
bool depot_put_full(struct heap *heap, unsigned size_class);

/* Puts a stored magazine in the place of the heap's empty one of a class. False if there is none. */
bool depot_bring_back(struct heap *heap, unsigned size_class);

void depot_flush_class(struct heap *heap, unsigned size_class);

void depot_flush(struct heap *heap);

/* For a heap about to grow: flushes some thousand blocks if the depot is a good part of it; returns whether it did. */
bool depot_flush_if_large(struct heap *heap);

/* Flushes the magazines that were not needed for the decay time, given the time by the coarse clock; some thousand
 * blocks at most, and the others in later calls. Returns how many free units may now be purged. */
size_t depot_decay(struct heap *heap, uint64_t now_ms);
