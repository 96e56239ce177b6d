/*
 * orphan.h - slabs that no heap has, by size class: adopted by one that needs them, or shared.
 *
 * An orphan belongs to everybody: each operation on it runs under its class's lock. One of each class is the *commons*,
 * which is not to be adopted: single blocks come from it, for threads that have no heap, because they are ending or
 * there are too many, and for the first blocks of a thread beside others: a thread that needs little of a class does
 * not get a slab of it.
 */
#ifndef MEMS_ENGINE_ORPHAN_H
#define MEMS_ENGINE_ORPHAN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "os/lock.h"
#include "size_class.h"

struct slab;

/* In `slabs` those with free slots stand before those without; `available` is how many have some. All under `lock`;
 * available is also read without it (relaxed): a glance that may be out of date saves most threads the lock. */
struct orphans {
    struct lock lock;
    _Atomic uint32_t available;
    struct list slabs;
    struct slab *commons; /* not in `slabs`; has free slots; or NULL */
};

extern struct orphans orphans[SIZE_CLASSES];

/* The engine's start. */
void orphans_start(void);

/* Makes all slabs of a list, which belong to one class and one heap that is ending, orphans. */
void orphan_leave(unsigned size_class, struct list *slabs);

/* In a forked child: makes one slab an orphan, whatever list it was in; its counts are right. */
void orphan_insert(struct slab *slab, unsigned size_class);

/* Takes an orphan with free slots over for `owner`; it is in no list then. NULL when there is none. */
struct slab *orphan_adopt(unsigned size_class, uint32_t owner);

/* Frees a block of an orphan. False when its slab is no orphan any more: route anew. */
bool orphan_free(void *block);

/* A block for `size` bytes, up to SMALL_MAX, from the commons; NULL when there is no memory. */
void *commons_alloc(size_t size);

/* The class of that block: it shares no cache line with another one, which may be another thread's. */
unsigned commons_class(size_t size);

#endif
