/*
 * abandoned.h - slabs that belong to no heap, by size class: those of ended threads, and those that all threads share.
 *
 * Such a slab belongs to its class: each operation on it, and each change of its live bits, is under the class's lock.
 * A heap that needs a slab adopts an *abandoned* one of the class. The *shared* slab of a class is never adopted. It
 * gives single blocks to threads without a heap (they are ending, or there are too many), and the first blocks of each
 * thread in a process with several threads, so a thread that needs few blocks of a class gets no slab for it. Of the
 * empty slabs that threads leave, one of each class may stay as a *spare* for the next thread.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "engine/tables/size_class.h"
#include "os/lock.h"
#include "slab.h"

/* In `slabs`, those with free slots come first; `available` counts these. All under `lock`; `available` is also read
 * without it (relaxed): a look, perhaps out of date, saves most threads the lock. */
struct abandoned {
    struct lock lock;
    _Atomic uint32_t available;
    struct list slabs;
    struct list aging;   /* all of them (slab.h) */
    struct slab *shared; /* not in `slabs`; it has free slots, perhaps only free ones; may be NULL */
};

extern struct abandoned abandoned[SIZE_CLASSES];

void abandoned_start(void);

/* Abandons all slabs of a list, of one class and of one heap that is ending. Under the heap's lock. */
void abandoned_leave(unsigned size_class, struct list *slabs);

/* For the heap `id`: takes over an abandoned slab with free slots, which is then in no list. NULL if there is none. */
struct slab *abandoned_adopt(unsigned size_class, uint32_t id);

/* The same for a block's slab, which may be full; NULL if it is shared or not abandoned. */
struct slab *abandoned_adopt_of(const void *block, unsigned size_class, uint32_t id);

/* The result of a free: the block was live and is freed; it was not live; or its slab has meanwhile been adopted. */
enum abandoned_free { ABANDONED_FREED, ABANDONED_NOT_LIVE, ABANDONED_ADOPTED };

/* Frees a block of a slab that was abandoned or shared a moment ago. */
enum abandoned_free abandoned_free(void *block);

/* Collects remote frees in a unit whose link the caller has set, and clears the link. False, with nothing changed, if
 * its slab has meanwhile been adopted, or is gone. */
bool abandoned_collect(size_t unit);

/* A block for `size` bytes, at most SMALL_MAX, from the shared slab; NULL if there is no memory. */
void *shared_alloc(size_t size);

/* Gives back the spans of empty shared slabs, and of spare ones. */
void abandoned_drop_empty(void);

/* The class of such a block, which shares no cache line with a block of another thread. */
unsigned shared_class(size_t size);

/* Puts all slabs of a class with free slots into its aging list. Returns how many that then has. */
size_t abandoned_age(unsigned size_class, uint64_t now_ms);

/* Begins to purge the oldest slab of a class (slab_purge_begin). A shared slab becomes an abandoned one. */
bool abandoned_purge_begin(unsigned size_class, uint64_t now_ms, uint64_t age_ms, unsigned most,
                           struct slab_purge *purge);

/* Ends it. False, with nothing changed, if the slab has been adopted meanwhile. */
bool abandoned_purge_end(const struct slab_purge *purge);
