/*
 * transfer.h - blocks on their way between a heap's magazines, its depot and its slabs.
 *
 * For the heap's thread, with the heap's lock held.
 */
#ifndef MEMS_ENGINE_TRANSFER_H
#define MEMS_ENGINE_TRANSFER_H

#include <stdbool.h>
#include <stddef.h>

struct heap;

/*
 * Puts blocks into the heap's magazine of a class if it is empty: from the depot, from slabs with free slots, from
 * units of the class in the heap's inbox, from abandoned slabs. False when none of these has any: then the heap has to
 * grow.
 */
bool transfer_refill(struct heap *heap, unsigned size_class);

/* After transfer_refill, where the heap has slots and can have no magazine for them: a live block; or NULL. */
void *transfer_take_one(struct heap *heap, unsigned size_class);

/* Makes room for one more block in the heap's full magazine of a class; false when it can have no magazine. */
bool transfer_make_room(struct heap *heap, unsigned size_class);

/* Gives all blocks that a class has in its magazine and in the depot back to their slabs. */
void transfer_flush_class(struct heap *heap, unsigned size_class);

/* Gives the depot and all blocks of all magazines back. */
void transfer_flush(struct heap *heap);

/* How many blocks of a class the heap has at hand, in the magazine and the depot; roughly, if it is another thread's.
 */
size_t transfer_cached(const struct heap *heap, unsigned size_class);

#endif
