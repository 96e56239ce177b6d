/*
 * magazine.h - per thread and size class, a small stack of block pointers.
 *
 * A magazine is MAGAZINE_SLOTS pointers, aligned to its own size. It holds blocks in the slots above its *bottom*, a
 * slot that is NULL; `top` points at the last block, or at the bottom when there is none:
 *
 *     aligned                                       aligned
 *   |  unused  | bottom: NULL | block | block | ... |
 *                                       ^ top
 *
 * So "empty" is a NULL at the top, and "full" is an aligned address above it: neither needs the capacity. The capacity
 * is how far below the end the bottom lies, and grows by moving the bottom down.
 *
 * A class without a magazine (and a thread without a heap) has its top at the last slot of `magazine_none`, which is
 * NULL: both empty and full.
 */
#ifndef MEMS_ENGINE_MAGAZINE_H
#define MEMS_ENGINE_MAGAZINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MAGAZINE_SLOTS 64u
#define MAGAZINE_MAX (MAGAZINE_SLOTS - 1)
#define MAGAZINE_SIZE (MAGAZINE_SLOTS * sizeof(void *))
#define MAGAZINE_NONE (&magazine_none[MAGAZINE_MAX])

extern void *magazine_none[MAGAZINE_SLOTS];

struct heap;

static inline bool magazine_ends_at(void *const *slot) {
    return ((uintptr_t)slot & (MAGAZINE_SIZE - 1)) == 0;
}

/* The first slot of the magazine that a bottom belongs to. */
static inline void **magazine_start(void *const *bottom) {
    return (void **)((uintptr_t)bottom & ~(uintptr_t)(MAGAZINE_SIZE - 1));
}

/* How many blocks fit above a bottom. */
static inline unsigned magazine_capacity(void *const *bottom) {
    return MAGAZINE_MAX - (unsigned)((uintptr_t)bottom / sizeof(void *) % MAGAZINE_SLOTS);
}

/* Puts blocks into the heap's magazine of a class if it is empty. False when there is no memory for any. */
bool magazine_refill(struct heap *heap, unsigned size_class);

/* The slots above `bottom`, the first `count` of which hold blocks, become the heap's magazine of a class. */
void magazine_install(struct heap *heap, unsigned size_class, void **bottom, unsigned count);

/* Makes room for one more block in the heap's full magazine of a class; false when there is no memory for one at all.
 */
bool magazine_make_room(struct heap *heap, unsigned size_class);

/* Gives the `count` blocks that have been in a magazine longest back to their slabs. */
void magazine_flush(struct heap *heap, unsigned size_class, unsigned count);

/* Gives all blocks that a class has in its magazine and in bundles back. */
void magazine_flush_class(struct heap *heap, unsigned size_class);

/* Gives the reserve and all blocks of all magazines back, and with `dispose` the magazines themselves. */
void magazine_flush_all(struct heap *heap, bool dispose);

/* How many blocks lie in the heap's magazine of a class, and with its bundles; roughly, if it is another thread's. */
unsigned magazine_count(const struct heap *heap, unsigned size_class);
size_t magazine_cached(const struct heap *heap, unsigned size_class);

#endif
