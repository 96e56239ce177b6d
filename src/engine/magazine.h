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
 * What a magazine may hold costs its heap something, because it keeps memory from everybody else: MAGAZINE_FREE is each
 * heap's, and all beyond is drawn from a budget of all heaps. Where that is used up magazines do not grow, and blocks
 * go straight from a slab to the user and back.
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

extern void *magazine_none[MAGAZINE_SLOTS]; /* in heap.c */

/* What a heap's magazines may cost without a draw on the budget, and the least budget. */
#define MAGAZINE_FREE ((size_t)4 << 10)
#define MAGAZINES_MIN ((size_t)32 << 20)

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

/* The slots above `bottom`, the first `count` of which hold blocks, become the heap's magazine of a class. */
void magazine_install(struct heap *heap, unsigned size_class, void **bottom, unsigned count);

/* What the heap's magazine of a class costs, in bytes. */
size_t magazine_cost(const struct heap *heap, unsigned size_class);

/* Makes the heap's magazine of a class, or at most doubles its capacity. False when it has the largest already, or
 * there is no budget, or no memory, for more. */
bool magazine_grow(struct heap *heap, unsigned size_class);

/* Halves the capacity of a magazine, if what it holds still fits. */
void magazine_shrink(struct heap *heap, unsigned size_class);

/*
 * With check=deferred a block in a magazine still has its live bit. Ends the lives of `count` blocks; how many of them
 * were live, up to the first that was not, which becomes suspect (live_map.h).
 */
unsigned magazine_prove(void *const *blocks, unsigned count);

/* Gives the memory of an empty magazine back. */
void magazine_dispose(struct heap *heap, unsigned size_class);

/* Gives back to the budget what the heap has drawn beyond what its magazines cost. */
void magazines_return(struct heap *heap);

/* How many blocks lie in the heap's magazine of a class; roughly, if it is another thread's. */
unsigned magazine_count(const struct heap *heap, unsigned size_class);

#endif
