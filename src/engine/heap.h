/*
 * heap.h - all that one thread owns: magazines, a reserve, slabs, outgoing parcels, an inbox.
 *
 * A heap is used by one thread, without locks. Its number, the *owner*, is what the page map says of its slabs. When
 * its thread ends it gives everything back (heap_end), and waits for another thread to use it; its memory is never
 * unmapped, so that a stale owner found in the page map leads to a heap, if to the wrong one: whoever gets the block
 * routes it on.
 */
#ifndef MEMS_ENGINE_HEAP_H
#define MEMS_ENGINE_HEAP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bitmap.h"
#include "base/compiler.h"
#include "base/list.h"
#include "os/lock.h"
#include "page_map.h"
#include "parcel.h"
#include "reserve.h"
#include "size_class.h"
#include "zeros.h"

struct slab;

/* Numbers of statistics: written by the heap's thread (relaxed), read by anyone, kept when the heap changes hands. */
struct heap_counters {
    _Atomic uint64_t refills;
    _Atomic uint64_t flushes;
    _Atomic uint64_t remote_frees;
    _Atomic uint64_t adoptions;
};

static inline void counter_add(_Atomic uint64_t *counter, uint64_t by) {
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + by, memory_order_relaxed);
}

/* A class of a heap. Slabs with free slots stand before those without, so the first tells whether there are any. */
struct heap_class {
    struct list slabs;
    void **bottom;      /* of the magazine; NULL while there is none */
    struct stock stock; /* of bundles */
    uint8_t share;      /* of the commons: so many blocks may still come from there, while there is no magazine */
    bool idle;          /* its magazine has had no refill and was never full since the heap was last swept */
};

/* With check=deferred a heap's tag has this bit set too, so that an entry of its own, XORed with the tag, is the class
 * plus DEFERRED, and leads to the second half of its tops. */
#define DEFERRED 128u

_Static_assert(SIZE_CLASSES <= DEFERRED && DEFERRED <= CLASS_MASK, "a class and the bit fit into an entry's class");

/*
 * The first members are what the fast paths touch, copied where they belong to the window, so that one pointer leads to
 * all of it. `tops` has two sets of magazines' tops: the first is filled with check=every, the second, from DEFERRED
 * on, with check=deferred; the other one stays empty; a class is at class + first. `granules` may lag behind the
 * window's: then the slow path catches up.
 */
struct heap {
    void **tops[DEFERRED + SIZE_CLASSES];
    uint32_t tag; /* page_map_tag(owner), with DEFERRED or without */
    uint32_t owner;
    uintptr_t base;
    size_t granules;
    page_map_entry *page_map;
    bitmap_word *live_map;        /* of the window: one bit a granule */
    bitmap_word *live_by_address; /* the same, biased: the bit of the block at address a is a / GRANULE */
    uint32_t first;               /* of the set in use: 0 or DEFERRED */
    uint32_t slow_calls;          /* refills and overflows, modulo 2^32 */
    bool proves;                  /* check=every: a block's proof is made when it is freed, not when it is flushed */
    struct heap_class classes[SIZE_CLASSES];
    size_t slab_bytes; /* in slots of the heap's slabs */
    size_t sweep_at;   /* before slab_bytes grow beyond this, the heap is swept */
    struct reserve reserve;
    struct zeros zeros;
    struct outbox outbox;
    _Atomic(struct parcel *) inbox; /* parcels from others; PARCEL_CLOSED between two threads */
    struct list link;               /* in registry.unused */
    struct heap_counters counters;
};

struct registry {
    struct lock lock;
    uint32_t made; /* heaps exist for the owners 1 .. made */
    uint32_t in_use;
    bool proves;      /* of every heap; set at the start */
    uint64_t started; /* how often a thread got a heap */
    struct list unused;
    _Atomic size_t bundle_bytes; /* in the bundles of all heaps, and what they have drawn beyond (relaxed) */
    _Atomic size_t large_bytes;  /* in the large blocks that they have put by (relaxed) */
};

extern struct registry registry;

/* What a thread without a heap points at: every magazine of it is both empty and full. */
extern struct heap heap_none;

/* The calling thread's heap: the engine's one thread-local word. */
extern TLS struct heap *heap_mine;

/* The engine's start. proves: check=every. */
void heaps_start(bool proves);

/* Tells the heap how far the window reaches. */
void heap_catch_up(struct heap *heap);

/* Gives the calling thread a heap if it may have one; NULL when there is no memory, or the thread is ending. */
struct heap *heap_begin(void);

/* Whether the class has a share of the commons (orphan.h) left, as those of a thread beside others do at first; takes
 * one block off it. */
bool heap_take_share(struct heap *heap, unsigned size_class);

/*
 * Frees a block of a slab that is not this heap's, as far as the caller saw; `heap` is NULL for a thread without one.
 * The one routing decision, made anew wherever ownership may have changed: mine, an orphan's, somebody else's.
 */
void heap_route(struct heap *heap, void *block);

/* Gives blocks of the heap's own slabs back to them, grouped by slab. prove: see slab_give. */
void heap_give(struct heap *heap, void *const *blocks, size_t count, bool prove);

/* A slab of the heap with a free slot, at the head of its class: its own, an adopted, or a fresh one. NULL: no memory.
 */
struct slab *heap_slab(struct heap *heap, unsigned size_class);

/* The slab has just been filled up: it makes way for one with free slots. */
void heap_slab_full(struct heap *heap, unsigned size_class, struct slab *slab);

/* Gives back all that the calling thread's heap keeps: magazines, the reserve, outgoing parcels, empty slabs. */
void heap_trim(struct heap *heap);

/* In a forked child: the heaps of the threads that are not there any more become unused, their slabs orphans. */
void heaps_recover(void);

#endif
