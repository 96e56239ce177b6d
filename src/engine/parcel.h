/*
 * parcel.h - blocks on their way back to the heap that owns them.
 *
 * A thread that frees blocks of others collects them in its *outbox*, a small table of parcels by owner. A full parcel
 * goes to the owner's *inbox*, a stack that any thread pushes to with one compare-and-swap and only the owner takes,
 * whole, with one exchange. The push is a release, the take an acquire: so the owner sees all that the sender and the
 * block's user did to the block. Empty parcels go back to a common pool.
 */
#ifndef MEMS_ENGINE_PARCEL_H
#define MEMS_ENGINE_PARCEL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "os/lock.h"

#define PARCEL_BLOCKS 61u
#define OUTBOX_SLOTS 16u

struct heap;

/* blocks[0 .. count - 1] are for `owner`; bytes is the sum of their slots' sizes. Written by the sender until it is
 * pushed, by the taker after. */
struct parcel {
    struct parcel *next;
    uint32_t owner;
    uint32_t count;
    size_t bytes;
    void *blocks[PARCEL_BLOCKS];
};

_Static_assert(sizeof(struct parcel) == 512, "a parcel is eight cache lines, a power of two");

/* parcels[owner % OUTBOX_SLOTS] is NULL or a parcel for one such owner. Used by the heap's thread alone. */
struct outbox {
    struct parcel *parcels[OUTBOX_SLOTS];
};

/* Empty parcels. */
struct parcel_pool {
    struct lock lock;
    struct parcel *free;
    size_t count;
};

extern struct parcel_pool parcel_pool;

/* The inbox of a heap without a thread: nothing can be sent to it. */
#define PARCEL_CLOSED ((struct parcel *)1)

/* Adds a block of `size` bytes to the parcel for its owner, and sends what is full. False: not done, route anew. */
bool outbox_add(struct heap *heap, uint32_t owner, void *block, size_t size);

/* Sends all parcels of the heap. */
void outbox_send_all(struct heap *heap);

/* For a thread without an outbox: sends one block. False: not done, route anew. */
bool parcel_send_one(uint32_t owner, void *block);

/* Takes the parcels in the heap's inbox and gives or routes their blocks on. */
void inbox_drain(struct heap *heap);

/* Closes the inbox for good, or until the heap's next thread, and routes on what was in it. Its slabs are orphans. */
void inbox_close(struct heap *heap);

/* For the heap's next thread. Release: pairs with the acquire load of whoever sends to it. */
static inline void inbox_open(_Atomic(struct parcel *) *inbox) {
    atomic_store_explicit(inbox, NULL, memory_order_release);
}

#endif
