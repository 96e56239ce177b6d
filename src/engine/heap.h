/*
 * heap.h - what one thread owns: magazines, a depot, slabs, an inbox; and the table of all heaps.
 *
 * Its magazines and the live bits of its slabs are the thread's alone, and need no lock. Everything else of a heap is
 * reached under its lock: the thread takes it on slow paths, about once in 32 blocks, and finds it free; another thread
 * takes it when the heap is idle, or memory is short (upkeep.h).
 *
 * A heap's number, its *id*, is what the page map says of its slabs. When its thread ends it gives everything back, and
 * waits for another thread to use it; its memory is never unmapped, so a stale id leads to some heap, possibly the
 * wrong one, and whoever acts on it re-checks.
 */
#ifndef MEMS_ENGINE_HEAP_H
#define MEMS_ENGINE_HEAP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/list.h"
#include "depot.h"
#include "large_cache.h"
#include "live_map.h"
#include "os/lock.h"
#include "page_map.h"
#include "size_class.h"
#include "slab.h"
#include "zeros.h"

/* Numbers of statistics: written under the heap's lock or by its thread (relaxed), read by anyone, kept when the heap
 * changes hands. */
struct heap_counters {
    _Atomic uint64_t refills;
    _Atomic uint64_t flushes;
    _Atomic uint64_t remote_frees;
    _Atomic uint64_t adoptions;
    _Atomic uint64_t stolen;
    _Atomic uint64_t large_bytes;                 /* of large blocks: allocated less freed, modulo 2^64 */
    _Atomic uint32_t class_refills[SIZE_CLASSES]; /* modulo 2^32: for readers from outside */
    _Atomic uint32_t class_flushes[SIZE_CLASSES];
};

static inline void counter_add(_Atomic uint64_t *counter, uint64_t by) {
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + by, memory_order_relaxed);
}

/* The same for one event of a class. */
static inline void class_counter_add(_Atomic uint32_t *counter) {
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + 1, memory_order_relaxed);
}

/* A thread adopts an abandoned slab when it has freed this many blocks into such slabs (free.c). */
#define STRAYS_MAX 2u

/* A class of a heap. Slabs with free slots stand before those without, so the first tells whether there are any. */
struct heap_class {
    struct list slabs;
    void **bottom;           /* of the magazine; NULL while there is none. The thread's alone */
    struct stock stock;      /* in the depot */
    uint32_t waiting;        /* units that are to be collected (remote.h) */
    _Atomic uint32_t remote; /* blocks of the class that the thread has freed in others' slabs; see slab_counts */
    uint8_t share;           /* blocks that may still come from the shared slab, while there is no magazine */
    uint8_t strays; /* frees into abandoned slabs since the last refill, up to STRAYS_MAX. The thread's alone */
    bool refilled;  /* its magazine has had a refill since the classes were last looked at */
    bool idle;      /* its magazine has had no refill and was never full since the classes were last looked at */
};

#define INBOX_CLOSED UINT32_MAX

/* With check=deferred a heap's tag has this bit set too, so that an entry of its own, XORed with the tag, is the class
 * plus DEFERRED, and leads to the second half of its tops. */
#define DEFERRED 128u

_Static_assert(SIZE_CLASSES <= DEFERRED && DEFERRED <= CLASS_MASK, "a class and the bit fit into an entry's class");

/*
 * The first members are what the fast paths touch, copied where they belong to the window, so that one pointer leads to
 * all of it. `tops` has two sets of magazines' tops: the first is filled with check=every, the second, from DEFERRED
 * on, with check=deferred; the other one stays empty; a class is at class + mode_offset. `granules` may lag behind the
 * window's: then the slow path catches up.
 */
struct heap {
    /* The thread's alone. */
    void **tops[DEFERRED + SIZE_CLASSES];
    uint32_t tag; /* page_map_tag(id), with DEFERRED or without */
    uint32_t id;
    uintptr_t base;
    size_t granules;
    _Atomic uint32_t *page_map;
    struct live_word *live_map; /* of the window: the word of the granule g is g / 64 */
    uintptr_t live_of_zero; /* where the live map would have the word of address 0: no pointer, as none may lie there */
    size_t until_beat;      /* bytes that may still be asked for before the next beat */
    uint32_t mode_offset;   /* of the set in use: 0 or DEFERRED */
    bool checks_every;      /* a free is proved at the call, not when its magazine is flushed */
    struct zeros zeros;
    uint32_t victim;       /* the heap that gave memory last (upkeep.c); 0: none */
    uint64_t collected_ms; /* when the thread last collected all its units */
    uint64_t looked_ms;    /* when the thread last looked for idle heaps, */
    uint64_t searched_ms;  /* and for a block to steal, in vain */
    uint64_t passed_ms;    /* its last pass of upkeep, */
    uint8_t purged_class;  /* whose abandoned slabs that looked at, */
    uint64_t rested_ms;    /* and when it last gave up what classes that rest have cached */

    /* Under the lock. */
    struct lock lock;
    struct heap_class classes[SIZE_CLASSES]; /* but for their `bottom`, `share` and `strays` */
    size_t magazine_cost;                    /* of its magazines (magazine.h) */
    size_t magazine_drawn;                   /* from the budget of all heaps, to pay for them */
    size_t slab_bytes;                       /* in slots of the heap's slabs */
    struct list aging;                       /* slabs (slab.h) */
    size_t sweep_at;                         /* before slab_bytes grow beyond this, the heap is swept */
    struct depot depot;
    struct large_cache larges;
    uint32_t backlog; /* units that left the inbox and are not sorted yet (remote.h) */
    struct list link; /* in heaps.unused */
    uintptr_t thread; /* the thread pointer of its thread, or of its last one: for readers from outside */
    struct heap_counters counters;

    /* Anybody's. The inbox has a cache line to itself, because other threads write to it. */
    _Alignas(
        64) _Atomic uint32_t inbox; /* units with remote frees (remote.h); INBOX_CLOSED while no thread has the heap */
    _Alignas(64) _Atomic uint32_t slow_calls; /* of the thread, modulo 2^32; written by it alone (relaxed) */
    _Atomic uint32_t seen_calls;              /* slow_calls when another thread last looked, */
    _Atomic uint64_t seen_ms;   /* and when it was first seen to be that (both relaxed: any value does no harm) */
    _Atomic uint32_t reclaimed; /* slow_calls when the heap was last reclaimed (relaxed) */
};

/* All heaps. `by_id` is window.heaps. */
struct heaps {
    struct lock lock;
    _Atomic uint32_t made; /* heaps exist for the ids 1 .. made (written under the lock, read relaxed) */
    _Atomic uint32_t in_use;
    bool checks_every; /* of every heap; set at the start */
    uint64_t started;  /* how often a thread got a heap */
    struct list unused;
    _Atomic uint64_t large_bytes;  /* of large blocks that threads without a heap allocated, less freed (relaxed) */
    _Atomic size_t magazine_drawn; /* by all heaps (relaxed) */
    _Atomic size_t magazine_most;  /* the budget: it may be drawn up to this (relaxed), */
    _Atomic size_t magazine_limit; /* and that, for the sake of the memory that there is, is at most this (relaxed) */
    _Atomic size_t depot_bytes;    /* in the half-magazines of all heaps, and what they have drawn beyond (relaxed) */
};

extern struct heaps heaps;

/* What a thread without a heap points at: every magazine of it is both empty and full. */
extern struct heap heap_none;

/* The calling thread's heap: the engine's one thread-local word. */
extern TLS struct heap *heap_mine;

/* Counts bytes of large blocks that the thread of the heap, which may be heap_none, has allocated (negative: freed). */
static inline void heap_count_large(struct heap *heap, uint64_t bytes) {
    if (LIKELY(heap != &heap_none)) {
        counter_add(&heap->counters.large_bytes, bytes);
    } else {
        atomic_fetch_add_explicit(&heaps.large_bytes, bytes, memory_order_relaxed);
    }
}

/* The engine's start. */
void heaps_start(bool checks_every);

/* Tells the heap how far the window reaches. */
void heap_catch_up(struct heap *heap);

/* Makes a heap ready for its next thread. */
void heap_reset(struct heap *heap);

/* An unused heap, or a new one; NULL when there is no memory. *alone: no other is in use. */
struct heap *heap_obtain(bool *alone);

/* Gives up a heap that has nothing any more. */
void heap_retire(struct heap *heap);

/* From one beat of a heap to the next, in bytes. */
#define HEAP_BEAT ((size_t)256 << 10)

/*
 * Counts bytes that the heap's thread asks for, 0 as 1; true when the heap has a *beat*: upkeep_beat is to be called.
 * So a thread that its magazines serve sees to its memory too.
 */
ALWAYS_INLINE bool heap_count(struct heap *heap, size_t bytes) {
    return count_down(&heap->until_beat, bytes | 1);
}

/* How many heaps were made: their ids are 1 to this. Acquire: pairs with the release of the last one's creation, so
 * that heap_of has them all. */
static inline uint32_t heaps_made(void) {
    return atomic_load_explicit(&heaps.made, memory_order_acquire);
}

/* The heap of an id. Acquire: pairs with the release of its creation. */
static inline struct heap *heap_of(uint32_t id) {
    return atomic_load_explicit(&window.heaps[id], memory_order_acquire);
}

/* --- A heap's slabs: under its lock ------------------------------------------------------------------------------ */

/* A slab of a class with a free slot, or NULL. */
struct slab *heap_slab_with_room(const struct heap *heap, unsigned size_class);

/* Adds an abandoned slab with free slots; NULL when there is none to adopt. The same for a fresh one: no memory. */
struct slab *heap_adopt(struct heap *heap, unsigned size_class);
struct slab *heap_grow(struct heap *heap, unsigned size_class);

/*
 * Adds the slab of a block that the heap's thread is about to free, so that this free and those that follow are its
 * own. False when the slab is shared, or not abandoned.
 */
bool heap_adopt_of(struct heap *heap, const void *block, unsigned size_class);

/* The slab has just been filled up: it makes way for one with free slots. */
void heap_slab_full(struct heap *heap, unsigned size_class, struct slab *slab);

/* Gives blocks of the heap's own slabs, which are not live, back to them. */
void heap_give(struct heap *heap, void *const *blocks, size_t count);

/* Collects what other threads have freed in a unit of the heap's own. `writer`: as for slab_collect. */
void heap_collect_unit(struct heap *heap, size_t unit, bool writer);

/* Purges the oldest slab (slabs_purge_oldest). */
static inline bool heap_purge_oldest(struct heap *heap, uint64_t now_ms, uint64_t age_ms, unsigned most,
                                     unsigned *purged) {
    return slabs_purge_oldest(&heap->aging, now_ms, age_ms, most, purged);
}

/* Purges all slabs. Returns how many pages went back. */
size_t heap_purge_all(struct heap *heap);

/* Gives the spans of all slabs that are empty back. */
void heap_drop_empty(struct heap *heap);

#endif
