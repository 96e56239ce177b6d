/*
 * slab.h - a span cut into equal slots of one size class.
 *
 * The descriptor, out of band:
 *
 *   +------+------+-------+------+-------+------+--------------------------------------+
 *   | span | link | slots | free | used  | hint | bitmap: one bit a slot, set if free  |
 *   +------+------+-------+------+-------+------+--------------------------------------+
 *
 * The bitmap and the live map (live_map.h) give the state of a slot:
 *
 *   free bit  live  remote
 *      1       0      0     free: the slab may hand it out
 *      0       1      0     live: a user holds it (or, with check=deferred, a magazine)
 *      0       0      0     cached: in a magazine or in the depot
 *      0       1      1     freed by another thread, not collected yet
 *      1       1      1     free, collected by a thread that may not write live bits: to be settled (slab_settle)
 *
 * A slab belongs to a heap, or to its class (abandoned.h), and is under its owner's lock, except for the live bits. A
 * heap's thread writes these without a lock; those of a class's slab are under the class's lock.
 *
 * A page that seems to hold no memory is *absent*: in a fresh slab, because it was never handed out, or because it was
 * purged. A page on which every slot is free is *resting* from when slab_purge_begin first finds it so until a slot of
 * it is handed out. Slabs that may have such pages are *aging*: in a list of their heap or class, the oldest first.
 *
 * No lock is held while the system takes pages back. Meanwhile the slab is *purging*: it hands out no slot and is not
 * destroyed, but it stays in its list, its slots can be freed, and it may change owners.
 *
 * The slots from `used` on were never handed out. They are all free, and bitmap words that cover only such slots are
 * not initialised, so a fresh slab costs nothing but its header.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bitmap.h"
#include "base/compiler.h"
#include "base/fault.h"
#include "base/list.h"
#include "engine/memory/span.h"
#include "engine/tables/live_map.h"
#include "engine/tables/page_map.h"
#include "engine/tables/size_class.h"
#include "os/os.h"

/* free = the set bits of the initialised words + the slots past them. No word below `hint` has a set bit. `unsettled`:
 * some free slot may have to be settled. Written under the lock of the slab's heap or class; statistics read free,
 * used, fresh and the bitmap at any time (relaxed). */
struct slab {
    struct span span;
    struct list link; /* in its heap's list of the class, or among the abandoned ones; a shared slab is in neither */
    struct list age;  /* in the aging list of its heap or class, or in none */
    uint64_t aged_ms; /* when it was put there, by the coarse clock */
    uint16_t slots;
    _Atomic uint16_t free;
    _Atomic uint16_t used;
    uint8_t hint; /* a word */
    bool purging; /* a thread is purging pages of it, and will end that (heap_purge_end) */
    bool unsettled;
    uint8_t guards;       /* guards in it (harden_guards.h) */
    _Atomic bool fresh;   /* the span read as zero: slots from `used` on hold no data */
    _Atomic bool advised; /* see advice.h (relaxed) */
    uint32_t born_s;      /* when it was made, by the coarse clock: for readers from outside */
    uint64_t absent;      /* a bit a page */
    uint64_t resting;     /* a bit a page; none of them is absent */
    bitmap_word bitmap[];
};

/* Slabs and their slots by class, for statistics: each number is the sum over the rows, modulo 2^64. A slab usually
 * counts in the row of its heap's id; the first heap's is the first row, where small processes have other data. Threads
 * add to it under different locks (relaxed). */
struct slab_counts {
    _Atomic size_t slabs;
    _Atomic size_t free;
    _Atomic size_t untouched; /* free slots that hold no data */
    _Atomic size_t remote; /* slots freed remotely and not collected yet; the rest of these is in heap_class.remote */
};

#define SLAB_COUNT_ROWS 16u

extern struct slab_counts slab_counts[SLAB_COUNT_ROWS][SIZE_CLASSES];

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

/* Whether the slab can be destroyed: all slots are free, it is not purging, and no unit is in an inbox or on its way
 * there. */
bool slab_disposable(const struct slab *slab);

static inline unsigned slab_class(const struct slab *slab) {
    return entry_class(page_map_load(slab->span.first));
}

/* The slab of a block whose page map entry says that it lies in one. */
static inline struct slab *slab_of(const void *block) {
    return CONTAINER_OF(window.spans[window_unit(block)], struct slab, span);
}

static inline struct slab_counts *slab_counts_of_heap(uint32_t id, unsigned size_class) {
    return &slab_counts[(id - 1) % SLAB_COUNT_ROWS][size_class];
}

static inline struct slab_counts *slab_counts_of(const struct slab *slab) {
    const uint32_t entry = page_map_load(slab->span.first);
    return slab_counts_of_heap(entry_heap(entry), entry_class(entry));
}

/* A fresh slab of the heap `id`, in no list; NULL when there is no memory. */
struct slab *slab_create(unsigned size_class, uint32_t id);

/* Frees the span of a slab that is empty and in no list. No thread can hold a pointer into it, so any holder of its
 * lock may call this. */
void slab_destroy(struct slab *slab);

/* The first slab of a list that can hand out a slot, or NULL. Those with free slots come first. */
struct slab *slabs_first_with_room(const struct list *slabs);

/* Makes all slots free, whoever holds them. For the writer, if no magazine holds any and all are collected. */
void slab_wipe(struct slab *slab);

/* Takes up to `count` free slots, lowest first, and stores their addresses at top[0], top[-1], ...: a stack that grows
 * upwards then pops the lowest address first. Returns how many. For the writer of the live bits. */
unsigned slab_take(struct slab *slab, void **top, unsigned count);

/* Gives back blocks[0], a slot of this slab that is not live, and those after it, up to `count`, while they are slots
 * of it too. Returns how many. */
size_t slab_give(struct slab *slab, void *const *blocks, size_t count);

/* The same for a slab of this class, by a caller that has already counted the slots as free (slab_count_free), once for
 * all slabs: the counts are shared by threads, and each block of a magazine often lies in another slab. */
static inline size_t slab_give_counted(struct slab *slab, unsigned size_class, void *const *blocks, size_t count) {
    const uintptr_t start = (uintptr_t)window_address(slab->span.first);
    const size_t bytes = (size_t)slab->span.units << UNIT_SHIFT;
    uint32_t lowest = slab->hint * BITMAP_WORD_BITS;
    size_t given = 0;
    for (size_t offset; given < count && (offset = (uintptr_t)blocks[given] - start) < bytes; given++) {
        const uint32_t slot = size_class_slot(size_class, offset);
        ASSERT(!slab_slot_free(slab, slot) && !live_test(blocks[given]));
        bitmap_set(slab->bitmap, slot);
        lowest = slot < lowest ? slot : lowest;
    }
    slab->hint = (uint8_t)(lowest / BITMAP_WORD_BITS);
    atomic_store_explicit(&slab->free, (uint16_t)(slab_free_slots(slab) + given), memory_order_relaxed);
    return given;
}

/* Counts blocks of a class that are about to become free slots of a heap's slabs. */
void slab_count_free(uint32_t id, unsigned size_class, size_t count);

/* Collects remote frees in a unit of the slab: the slots become free. `writer`: the caller may write the slab's live
 * bits, and settles the slots. */
void slab_collect(struct slab *slab, size_t unit, bool writer);

/* The same for all units of the slab, for the writer: afterwards no slot is unsettled. */
void slab_settle(struct slab *slab);

/* Makes a free, settled slot a live block; NULL if there is none. For a thread that is not the slab's writer. */
void *slab_steal(struct slab *slab);

/* Makes all used slots read as zero, as free ones do with harden=light and full. */
void slab_clear(struct slab *slab);

/* How many slots users hold, by the live map; those freed by another thread do not count. */
size_t slab_count_live(const struct slab *slab);

/* How many slots are cached: neither free, nor live, nor freed by another thread and not collected yet. */
size_t slab_count_cached(const struct slab *slab);

/* The invariants above. No other thread may change the slab. */
bool slab_valid(const struct slab *slab, const char **why);

/* Roughly how many slabs of its class a slab's heap has (slab_counts.c): a row's slabs, divided by the number of heaps
 * that may share it. slabs_note_heap: a heap of this id has slabs. */
size_t slabs_of_heap(const struct slab *slab);
void slabs_note_heap(uint32_t id);

/* --- Pages (slab_pages.c) ----------------------------------------------------------------------------------------- */

/* Starts counting the pages of a slab, which is fresh if `zero`; stops counting them. */
void slab_pages_begin(struct slab *slab, bool zero);
void slab_pages_end(const struct slab *slab);

/* The pages between two offsets of a slab are about to be used. Slots on them do not count as used yet. If the class
 * grows, pages that follow are made present with them. */
void slab_pages_touch(struct slab *slab, size_t from, size_t to);

static inline void slab_touch(struct slab *slab, size_t from, size_t to) {
    if (UNLIKELY((slab->absent | slab->resting) != 0)) {
        slab_pages_touch(slab, from, to);
    }
}

/* Whether any page between two offsets of a slab is absent. */
bool slab_absent(const struct slab *slab, size_t from, size_t to);

/* How many pages of a slab, and of all slabs, seem to hold memory; and how many pages of all slabs do not. */
unsigned slab_present(const struct slab *slab);
size_t slabs_present(void);
size_t slabs_absent(void);

/* How many purged pages were needed again, modulo 2^64. */
size_t slabs_returned(void);

/* Puts the slab, which has free slots, into an aging list if it is in none; unless it is purging: then whoever purges
 * it does so afterwards. */
static inline void slab_age(struct slab *slab, struct list *aging, uint64_t now_ms) {
    if (list_empty(&slab->age) && !slab->purging) {
        slab->aged_ms = now_ms;
        list_push_back(aging, &slab->age);
    }
}

/* The same for all slabs of a list that have free slots, which come first. Returns how many then are aging. */
size_t slabs_age(struct list *slabs, struct list *aging, uint64_t now_ms);

/* What a thread purges in a slab. */
struct slab_purge {
    struct slab *slab;
    uint64_t pages;  /* to be purged; then those that were purged */
    uint64_t now_ms; /* when it began, by the coarse clock */
    unsigned free;   /* the slab's free slots then */
    bool insists;    /* if the system refuses, the slab is not tried again before it has changed */
};

/* Begins to purge the oldest slab of an aging list, if it has been there for `age_ms`: up to `most` pages that were
 * resting, or, if age_ms is 0, whose slots are all free; the others are then resting. The slab leaves the list. False
 * if none is old enough. Otherwise, if there are pages, the slab is purging: call slab_purge_pages and then
 * heap_purge_end, with no lock held. */
bool slab_purge_begin(struct list *aging, uint64_t now_ms, uint64_t age_ms, unsigned most, struct slab_purge *purge);

/* Purges the pages. The system may refuse some. Without a lock. */
void slab_purge_pages(struct slab_purge *purge);

/* Ends the purge of the slab. Returns whether it is to age again. Under the lock of the slab's heap or class. */
bool slab_purge_end(const struct slab_purge *purge);

/* The invariant of `absent` and `resting` that does not hold, or NULL. */
const char *slab_pages_broken(const struct slab *slab);
