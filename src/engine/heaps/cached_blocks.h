/* cached_blocks.h - a heap's cached blocks, in magazines and the depot: how they get there, and back to slabs. For the
 * heap's thread, with the heap's lock held. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct heap;

/* Refills the heap's magazine of a class if it is empty: from the depot, from slabs with free slots, from units of the
 * class in the heap's inbox, from abandoned slabs. False if none of these has a block: then the heap has to grow. */
bool cached_refill(struct heap *heap, unsigned size_class);

/* Whether a refill would take slots that were never used, from pages of a slab that hold no memory. */
bool cached_needs_fresh(const struct heap *heap, unsigned size_class);

/* After cached_refill, if the heap has slots but cannot have a magazine for them: a live block, or NULL. */
void *cached_take_one(struct heap *heap, unsigned size_class);

/* Makes room for a block in the heap's magazine of a class, if necessary. False if it cannot have a magazine. */
bool cached_make_room(struct heap *heap, unsigned size_class);

/* Flushes all blocks of a class, in its magazine and in the depot, to their slabs. */
void cached_flush_class(struct heap *heap, unsigned size_class);

/* Flushes the depot and all magazines. */
void cached_flush(struct heap *heap);

/* Whether a block of a class is in the heap's magazine or depot. */
bool cached_holds(const struct heap *heap, unsigned size_class, const void *block);

/* How many blocks of a class the heap has in the magazine and the depot; an estimate for another thread's heap. */
size_t cached_count(const struct heap *heap, unsigned size_class);
