/*
 * orphan.h - slabs whose heap is gone, by size class, until a heap that needs one adopts it.
 *
 * An orphan belongs to everybody: each operation on it runs under its class's lock. Threads that have no heap, because
 * they are ending or there are too many, allocate from orphans and free into them too.
 */
#ifndef MEMS_ENGINE_ORPHAN_H
#define MEMS_ENGINE_ORPHAN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "base/lock.h"
#include "size_class.h"

struct slab;

/* In `slabs` those with free slots stand before those without; `available` is how many have some. All under `lock`;
 * available is also read without it (relaxed): a glance that may be out of date saves most threads the lock. */
struct orphans {
    struct lock lock;
    _Atomic uint32_t available;
    struct list slabs;
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

/* A block from an orphan, or from a fresh slab that becomes one; NULL when there is no memory. */
void *orphan_alloc(unsigned size_class);

#endif
