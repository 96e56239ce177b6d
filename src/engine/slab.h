/*
 * slab.h - a span cut into equal slots of one size class.
 *
 * The descriptor, out of band:
 *
 *   +------+------+-------+------+-------+------+--------------------------------------+
 *   | span | link | slots | free | used  | hint | bitmap: one bit a slot, set if free  |
 *   +------+------+-------+------+-------+------+--------------------------------------+
 *
 * The bitmap and the live map (live_map.h) tell what a slot is:
 *
 *   free bit  live  remote
 *      1       0      0     free: the slab may hand it out
 *      0       1      0     live: a user holds it. (With check=deferred also what lies in a magazine.)
 *      0       0      0     cached: in a magazine or in the depot
 *      0       1      1     freed by another thread, not collected yet
 *      1       1      1     free, collected by a thread that may not write live bits: to be settled (slab_settle)
 *
 * A slab belongs to a heap, or to its class (abandoned.h), and all of it but the live bits is reached under that one's
 * lock. Live bits are written by the heap's thread without a lock, or under the class's lock.
 *
 * Pages that hold no memory, as far as is known, are *absent*: those of a fresh slab that were never handed out, and
 * those that have gone back to the system (slab_purge). A page on which every slot is free is *resting* from the first
 * time that slab_purge finds it so until a slot of it is handed out. Slabs that may have such pages are *aging*: in a
 * list of their heap or class, oldest first.
 *
 * The slots from `used` on were never handed out. The words of the bitmap that cover only such slots are not
 * initialised, and all of their slots are free: so a fresh slab costs nothing but its header.
 */
#ifndef MEMS_ENGINE_SLAB_H
#define MEMS_ENGINE_SLAB_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bitmap.h"
#include "base/list.h"
#include "os/os.h"
#include "page_map.h"
#include "span.h"

/*
 * free = set bits of the initialised words + the slots past them; no word below `hint` has a set bit; `unsettled` if
 * some free slot is to be settled. Written under the lock of the slab's heap or class; free, used, fresh and the bitmap
 * are read by statistics at any time (relaxed).
 */
struct slab {
    struct span span;
    struct list link; /* in its heap's list of the class, or among the abandoned ones; a shared slab is in neither */
    struct list age;  /* in the aging list of its heap or class, or in none */
    uint64_t aged_ms; /* when it came there, by the coarse clock */
    uint16_t slots;
    _Atomic uint16_t free;
    _Atomic uint16_t used;
    uint16_t hint; /* a word */
    bool unsettled;
    _Atomic bool fresh;   /* the span read as zero: slots from `used` on hold no memory */
    _Atomic bool advised; /* see advice.h (relaxed) */
    uint32_t born_s;      /* when it was made, by the coarse clock: for readers from outside */
    uint64_t absent;      /* a bit a page */
    uint64_t resting;     /* a bit a page; none of them is absent */
    bitmap_word bitmap[];
};

/*
 * Slabs and their slots by class, for statistics: each number is the sum over the rows, modulo 2^64. A slab counts in
 * the row of its heap's id, or any other one when that has changed. Threads add to it under different locks (relaxed).
 */
struct slab_counts {
    _Atomic size_t slabs;
    _Atomic size_t free;
    _Atomic size_t untouched; /* free slots that hold no memory */
    _Atomic size_t remote;    /* with that of all heaps' classes: slots freed by other threads, not collected yet */
};

#define SLAB_COUNT_ROWS 16u

extern struct slab_counts slab_counts[SLAB_COUNT_ROWS][SIZE_CLASSES];

/* Adds to one of these numbers. */
static inline void slab_count_add(_Atomic size_t *count, size_t by) {
    if (os_single_threaded()) {
        atomic_store_explicit(count, atomic_load_explicit(count, memory_order_relaxed) + by, memory_order_relaxed);
    } else {
        atomic_fetch_add_explicit(count, by, memory_order_relaxed);
    }
}

static inline unsigned slab_free_slots(const struct slab *slab) {
    return atomic_load_explicit(&slab->free, memory_order_relaxed);
}

static inline unsigned slab_used(const struct slab *slab) {
    return atomic_load_explicit(&slab->used, memory_order_relaxed);
}

/* The slots that the initialised words of the bitmap cover. */
static inline unsigned slab_covered(const struct slab *slab) {
    unsigned covered = (unsigned)bitmap_words(slab_used(slab)) * BITMAP_WORD_BITS;
    return covered < slab->slots ? covered : slab->slots;
}

static inline bool slab_slot_free(const struct slab *slab, uint32_t slot) {
    return slot >= slab_covered(slab) || bitmap_test(slab->bitmap, slot);
}

static inline bool slab_empty(const struct slab *slab) {
    return slab_free_slots(slab) == slab->slots;
}

/* Whether the slab's span can be given back: no slot is taken, and no unit is in an inbox, or on its way there. */
bool slab_disposable(const struct slab *slab);

static inline unsigned slab_class(const struct slab *slab) {
    return entry_class(page_map_load(slab->span.first));
}

/* The slab of a block whose page map entry says that it lies in one. */
static inline struct slab *slab_of(const void *block) {
    return CONTAINER_OF(window.spans[window_unit(block)], struct slab, span);
}

/* A fresh slab of the heap `id`, in no list; NULL when there is no memory. */
struct slab *slab_create(unsigned size_class, uint32_t id);

/* Gives the span of a slab that is empty and in no list back. No heap's thread can have a pointer into it, so any
 * holder of the slab's lock may do it. */
void slab_destroy(struct slab *slab);

/*
 * Takes up to `count` free slots, lowest first, and stores their addresses at top[0], top[-1], ...: on a stack that
 * grows upwards the lowest address is then the first to be popped. Returns how many. For the writer of the live bits.
 */
unsigned slab_take(struct slab *slab, void **top, unsigned count);

/*
 * Gives back blocks[0], which is a slot of this slab that is not live, and those after it that are too, up to `count`;
 * returns how many.
 */
size_t slab_give(struct slab *slab, void *const *blocks, size_t count);

/*
 * Collects what other threads have freed in a unit of the slab: their slots become free. `writer`: the caller may write
 * the slab's live bits, and settles the slots.
 */
void slab_collect(struct slab *slab, size_t unit, bool writer);

/* The same for all units of the slab, for the writer: no slot is unsettled then. */
void slab_settle(struct slab *slab);

/* Takes a free slot that is not settled, and makes it a live block; NULL when there is none. For a thread that is not
 * the slab's writer. */
void *slab_steal(struct slab *slab);

/* Gives the system the memory of up to `most` pages on which every slot is free, or of those that were resting alone;
 * all that stay are resting then. Returns how many went. The system may refuse. */
unsigned slab_purge(struct slab *slab, bool resting, unsigned most);

/* The slab, which has free slots, comes into an aging list, if it is in none. */
static inline void slab_age(struct slab *slab, struct list *aging, uint64_t now_ms) {
    if (list_empty(&slab->age)) {
        slab->aged_ms = now_ms;
        list_push_back(aging, &slab->age);
    }
}

/*
 * Purges the oldest slab of an aging list, if it has been there for `age_ms`: of pages that were resting, or, with
 * age_ms = 0, of all. It leaves the list, or comes to its end if there is more to purge. False when none is so old;
 * else *purged grows by the pages that went back.
 */
bool slabs_purge_oldest(struct list *aging, uint64_t now_ms, uint64_t age_ms, unsigned most, unsigned *purged);

/* How many pages of a slab hold memory, as far as is known; and of all slabs. */
unsigned slab_present(const struct slab *slab);
size_t slabs_present(void);

/* How many slots a user holds, by the live map: those freed by another thread are not among them. */
size_t slab_count_live(const struct slab *slab);

/* How many slots are neither free nor a user's, nor on their way to be free: cached. */
size_t slab_count_cached(const struct slab *slab);

/* The invariants above. No other thread may change the slab. */
bool slab_valid(const struct slab *slab, const char **why);

#endif
