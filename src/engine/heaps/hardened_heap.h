/* hardened_heap.h - what harden=light and full add to a heap: random numbers, quarantines, the large blocks freed last
 * (hardened_larges.h). Only its thread uses it, except for these blocks, which are under the heap's lock. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "heap.h"
#include "quarantine.h"

struct large;

/* The places for large blocks: random ones, and a queue. */
#define HARDENED_LARGES 16u
#define HARDENED_LARGES_QUEUED 64u
#define HARDENED_LARGES_ALL (HARDENED_LARGES + HARDENED_LARGES_QUEUED)

struct hardened {
    uint32_t sweeps;     /* steps of a sweep (sweep.h) so far, while they are few */
    bool forked;         /* in a child whose magazines are still in the parent's order */
    size_t sweep_unit;   /* where that continues, */
    size_t sweep_offset; /* and how far into the unit's slab */
    struct quarantine *quarantines[SIZE_CLASSES];
    struct large *larges[HARDENED_LARGES_ALL]; /* the random places, then the queue, a ring. NULL: none */
    size_t larges_bytes;
    size_t larges_left;   /* of those that keep their memory, while no thread has the heap (hardened_leave_larges) */
    unsigned larges_last; /* the place of the last one, which does not come back at once */
    unsigned larges_next; /* where in the queue its oldest is, and the next one comes */
};

/* With harden=light, a thread's first frees, this many, put blocks back into their slabs instead of magazines: these
 * are not reused at once, and the first refills check them (sweep.h). */
#define EARLY_FREES 64u

/* A multiplier that passes the spectral test and fits into an instruction. */
#define HARDENED_MULTIPLIER UINT64_C(0x71de2e85)

/* 32 bits, hard to predict for whoever does not see many: the upper half of a multiplicative generator, seeded by the
 * kernel. */
static inline uint32_t hardened_random(struct heap *heap) {
    heap->shuffle *= HARDENED_MULTIPLIER;
    return (uint32_t)(heap->shuffle >> 32);
}

static inline uint32_t hardened_below(struct heap *heap, uint32_t end) {
    return (uint32_t)((uint64_t)hardened_random(heap) * end >> 32);
}

/* Makes this part of a heap, if it has none; false if there is no memory. */
bool hardened_create(struct heap *heap);

/* Shuffles the slots that the heap's magazine of a class got from slabs, each among SHUFFLED neighbours: beyond that,
 * the processor could no longer prefetch blocks used in the order of their allocation. Those from the depot need none:
 * when they were freed, each came to a random place. */
#define SHUFFLED 8u
void hardened_shuffle(struct heap *heap, unsigned size_class);

/* With harden=full, before the shuffle: makes the pages of these slots present. The slots are read before they are
 * written, so an absent page would cost two faults: one for the system's page of zeros, and one for its copy. */
void hardened_bring_in(const struct heap *heap, unsigned size_class);

/* A freed block comes to one of this many places at the top of its magazine; no more, for the same reason. */
#define SCATTERED_BITS 4u

/* Adds a cached block to a magazine with room for it, at a random place near the top, or at the bottom if nearer. */
ALWAYS_INLINE void hardened_push(struct heap *heap, size_t size_class, void *block) {
    void **top = heap->tops[size_class];
    void **bottom = heap->bottoms[size_class];
    heap->shuffle *= HARDENED_MULTIPLIER;
    void **before = top + (heap->shuffle >> (64 - SCATTERED_BITS)) - ((1u << SCATTERED_BITS) - 1);
    before = before < bottom ? bottom : before;
    top[1] = before[1];
    before[1] = block;
    heap->tops[size_class] = top + 1;
}

/* hardened_detain for a class that has no quarantine yet: makes one, if there is memory for it. */
COLD void *hardened_detain_first(struct heap *heap, unsigned size_class, void *block);

/* Puts a freed block, which is not live, into quarantine. Returns the one that leaves it, or NULL. */
static inline void *hardened_detain(struct heap *heap, unsigned size_class, void *block) {
    struct quarantine *quarantine = heap->hardened->quarantines[size_class];
    if (UNLIKELY(quarantine == NULL)) {
        return hardened_detain_first(heap, size_class, block);
    }
    return quarantine_exchange(quarantine, quarantine->places, block, hardened_random(heap));
}

/* Gives back the blocks in the heap's quarantines. For its thread, under its lock. */
void hardened_flush(struct heap *heap);

/* Whether a freed block in a slot is in the quarantine of the slab's heap; approximate for another thread's heap. */
bool hardened_detains(const void *block);

/* How many blocks of a class are in quarantine; approximate for another thread's heap. */
size_t hardened_detained(const struct heap *heap, unsigned size_class);

/* Starts new random numbers. */
void hardened_reseed(struct heap *heap);

/* In a forked child, for its thread's heap: makes it choose unlike the parent and the parent's other children. The
 * magazines follow at the next beat, which comes with the next allocation, because a signal handler that forked may
 * have interrupted malloc or free. */
void hardened_fork(struct heap *heap);
void hardened_shuffle_all(struct heap *heap);

/* In a forked child: gives up what another thread's heap held in quarantine. */
void hardened_forget(struct heap *heap);
