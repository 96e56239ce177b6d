/*
 * abandoned.h - slabs that no heap has, by size class: abandoned by a thread that has ended, or shared by all threads.
 *
 * Such a slab belongs to its class: every operation on it runs under the class's lock, whose holder is also the writer
 * of its live bits. An *abandoned* slab is adopted by a heap that needs one of its class. A *shared* slab, one for each
 * class, is not adopted: single blocks come from it, for threads that have no heap, because they are ending or there
 * are too many, and for the first blocks of a thread in a process with several: a thread that needs little of a class
 * does not get a slab of it.
 */
#ifndef MEMS_ENGINE_ABANDONED_H
#define MEMS_ENGINE_ABANDONED_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "os/lock.h"
#include "size_class.h"
#include "slab.h"

/* In `slabs` those with free slots stand before those without; `available` is how many have some. All under `lock`;
 * available is also read without it (relaxed): a glance that may be out of date saves most threads the lock. */
struct abandoned {
    struct lock lock;
    _Atomic uint32_t available;
    struct list slabs;
    struct list aging;   /* of all of them (slab.h) */
    struct slab *shared; /* not in `slabs`; has free slots; or NULL */
};

extern struct abandoned abandoned[SIZE_CLASSES];

/* The engine's start. */
void abandoned_start(void);

/* Makes all slabs of a list, which belong to one class and one heap that is ending, abandoned. Under the heap's lock.
 */
void abandoned_leave(unsigned size_class, struct list *slabs);

/* Takes an abandoned slab with free slots over for the heap `id`; it is in no list then. NULL when there is none. */
struct slab *abandoned_adopt(unsigned size_class, uint32_t id);

/* The same with a block's slab, which may be full; NULL when it is shared, or not abandoned. */
struct slab *abandoned_adopt_of(const void *block, unsigned size_class, uint32_t id);

/* What a free found: a live block, which is free now; no live block; or a slab that has been adopted meanwhile. */
enum abandoned_free { ABANDONED_FREED, ABANDONED_NOT_LIVE, ABANDONED_ADOPTED };

/* Frees a block of a slab that was abandoned or shared a moment ago. */
enum abandoned_free abandoned_free(void *block);

/*
 * Collects what other threads have freed in a unit, whose link the caller has set; clears the link. False when its slab
 * has been adopted meanwhile, or is gone: then nothing has changed.
 */
bool abandoned_collect(size_t unit);

/* A block for `size` bytes, up to SMALL_MAX, from the shared slab; NULL when there is no memory. */
void *shared_alloc(size_t size);

/* The class of that block: it shares no cache line with another one, which may be another thread's. */
unsigned shared_class(size_t size);

/* Purges the oldest of a class (slabs_purge_oldest). */
bool abandoned_purge_oldest(unsigned size_class, uint64_t now_ms, uint64_t age_ms, unsigned most, unsigned *purged);

/* Purges all of them. Returns how many pages went back. */
size_t abandoned_purge_all(void);

#endif
