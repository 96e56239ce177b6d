/*
 * quarantine.h - freed blocks that are not reused for a while, with harden=full.
 *
 * A freed block takes a random place; the one that was there goes to the end of a queue, and the oldest of the queue
 * leaves. So nobody can predict when a block comes back. Each class of a heap has a quarantine with as many places as
 * fit into QUARANTINE_BYTES, up to QUARANTINE_MOST. All heaps together hold at most QUARANTINES_MOST, and as much as
 * their magazines (heaps.magazine_limit); beyond that, freed blocks may come back at once.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"

#define QUARANTINE_BYTES ((size_t)16 << 10) /* of the blocks at random places; the queue has as many again */
#define QUARANTINE_MOST 64u
#define QUARANTINES_MOST ((size_t)64 << 20)

/* blocks[0 .. places - 1]: the places, NULL if empty. The next `places`: the queue, a ring; its oldest is `next`. */
struct quarantine {
    uint32_t places; /* a power of two */
    uint32_t next;
    void *blocks[];
};

/* A quarantine for blocks of `size` bytes; NULL if there is no memory or no budget for it. */
struct quarantine *quarantine_create(size_t size);

void quarantine_dispose(struct quarantine *quarantine, size_t size);

/* Adds a block at a random place; returns the one that leaves, or NULL. `places` is quarantine->places. */
ALWAYS_INLINE void *quarantine_exchange(struct quarantine *quarantine, uint32_t places, void *block, uint32_t random) {
    void **place = &quarantine->blocks[random & (places - 1)];
    void *older = *place;
    *place = block;
    if (older == NULL) {
        return NULL;
    }
    void **last = &quarantine->blocks[places + quarantine->next];
    void *oldest = *last;
    *last = older;
    quarantine->next = (quarantine->next + 1) & (places - 1);
    return oldest;
}

/* Whether a block is in it. Other threads may call this too, and may see changes slightly later. */
bool quarantine_holds(const struct quarantine *quarantine, const void *block);

/* Moves all blocks to the front of its places; only quarantine_dispose may follow. Returns their number. */
size_t quarantine_gather(struct quarantine *quarantine);
