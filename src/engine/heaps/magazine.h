/*
 * magazine.h - a small stack of block pointers per thread and size class.
 *
 * It is an array of pointers, aligned to its own size, with blocks in the slots above its *bottom*, a slot that is
 * NULL; `top` points at the last block, or at the bottom if there is none:
 *
 *     aligned                                       aligned
 *   |  unused  | bottom: NULL | block | block | ... |
 *                                       ^ top
 *
 * So "empty" is a NULL at the top, and "full" an aligned address above it. The capacity is the distance of the bottom
 * from the end, and grows by moving the bottom down.
 *
 * The most that a magazine of a class may hold is decided by most_in_magazine in size_class.c, and by most_of in
 * magazine.c until the class is busy.
 *
 * A small magazine has MAGAZINE_SLOTS slots. Wide ones, for classes whose blocks come and go in large batches, have two
 * or four times as many; "full" is then also found at each inner multiple of MAGAZINE_SLOTS, where the slow path only
 * looks whether the magazine goes on (magazine_has_room).
 *
 * Blocks in a magazine keep memory from other threads, so they are paid for (magazine_budget.h). If the budget is
 * nearly used up, magazines do not grow beyond the first blocks, as many as fit on a page; if it is used up, blocks go
 * straight from a slab to the user and back.
 *
 * A class without a magazine (and a thread without a heap) has its top at the last slot of `magazine_none`, NULL: both
 * empty and full.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/tables/size_class.h"

/* Of a small magazine, in bytes. */
#define MAGAZINE_SIZE (MAGAZINE_SLOTS * sizeof(void *))
#define MAGAZINE_NONE (&magazine_none[MAGAZINE_SLOTS - 1])

extern void *magazine_none[MAGAZINE_SLOTS]; /* in heap.c */

/* A class gets a wide magazine for its refills, or one of more than MAGAZINE_BYTES, after this many refills. */
#define REFILLS_BEFORE_BUSY 15u

struct heap;

static inline bool magazine_ends_at(void *const *slot) {
    return ((uintptr_t)slot & (MAGAZINE_SIZE - 1)) == 0;
}

/* The slots of the smallest magazine with a capacity. */
static inline unsigned magazine_slots(unsigned capacity) {
    unsigned slots = MAGAZINE_SLOTS;
    while (slots <= capacity) {
        slots *= 2;
    }
    return slots;
}

/* The first slot of the magazine of `slots` slots that a bottom belongs to. */
static inline void **magazine_start(void *const *bottom, unsigned slots) {
    return (void **)((uintptr_t)bottom & ~(uintptr_t)(slots * sizeof(void *) - 1));
}

static inline void **magazine_end(void *const *bottom, unsigned slots) {
    return magazine_start(bottom, slots) + slots;
}

unsigned magazine_capacity(const struct heap *heap, unsigned size_class);

bool magazine_has_room(const struct heap *heap, unsigned size_class);

/* Makes an array of `slots` slots the heap's magazine of a class, with `count` blocks above `bottom`. */
void magazine_install(struct heap *heap, unsigned size_class, void **bottom, unsigned slots, unsigned count);

/* Whether the heap's thread has refilled its magazine of a class often. */
bool magazine_busy(const struct heap *heap, unsigned size_class);

size_t magazine_cost(const struct heap *heap, unsigned size_class);

/* Makes the heap's magazine of a class, or doubles its capacity at most. False if it cannot grow. */
bool magazine_grow(struct heap *heap, unsigned size_class);

/* Whether the heap's magazine of a class has only the first blocks or a few more, because the budget is used up. */
bool magazine_is_short(const struct heap *heap, unsigned size_class);

/* Halves the capacity of a magazine if its blocks still fit, and there is memory for a smaller one. */
void magazine_shrink(struct heap *heap, unsigned size_class);

/* With check=deferred, a block in a magazine still has its live bit. Ends the lives of `count` blocks. Returns how many
 * were live, up to the first that was not, which becomes suspect (live_map.h). */
unsigned magazine_prove(void *const *blocks, unsigned count);

/* The most doublings that struct heap_class counts: from then on a small magazine has all its slots. */
#define MAGAZINE_GROWN_MAX 3u

/* For a thread that ends: notes for the heap's next thread how far its magazine of a class has grown. */
void magazine_note_grown(struct heap *heap, unsigned size_class);

/* Frees the memory of an empty magazine. */
void magazine_dispose(struct heap *heap, unsigned size_class);

/* How many blocks are in the heap's magazine of a class; approximate for another thread's heap. */
unsigned magazine_count(const struct heap *heap, unsigned size_class);
