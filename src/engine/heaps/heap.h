/*
 * heap.h - what one thread owns: magazines, a depot, slabs, an inbox; and the table of all heaps.
 *
 * Only the thread uses its magazines and the live bits of its slabs, without a lock. Everything else is under the
 * heap's lock. The thread takes it on slow paths, about once in 32 blocks, almost always uncontended; others take it if
 * the heap is idle, or memory is short (idle.h).
 *
 * The page map has a heap's number, its *id*, for each of its slabs. When its thread ends, the heap gives everything
 * back and waits for another thread (unused_heaps.h). Its memory is never unmapped, so a stale id leads to some heap,
 * possibly the wrong one: whoever acts on an id re-checks it.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/list.h"
#include "depot.h"
#include "engine/memory/large_cache.h"
#include "engine/memory/zeros.h"
#include "engine/slabs/slab.h"
#include "engine/tables/live_map.h"
#include "engine/tables/page_map.h"
#include "engine/tables/size_class.h"
#include "os/lock.h"
#include "os/stack.h"

/* Statistics, which the heap keeps when its owner changes: written under its lock or by its thread, read by anyone
 * (relaxed). */
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

/* A thread adopts an abandoned slab once it has freed this many blocks into such slabs (free_block.c). */
#define STRAYS_MAX 2u

/* A class of a heap. Slabs with free slots come before those without, so the first one tells whether there are any. */
struct heap_class {
    struct list slabs;
    struct stock stock;      /* in the depot */
    uint32_t ring;           /* of units to be collected (remote.h) */
    _Atomic uint32_t remote; /* blocks of the class that the thread has freed in others' slabs; see slab_counts */
    uint8_t share;           /* blocks that may still come from the shared slab, while there is no magazine; of a medium
                                class: from the cache of large blocks, before it has slabs */
    /* Used only by the thread. */
    uint8_t strays : 2;  /* frees into abandoned slabs since the last refill, up to STRAYS_MAX */
    uint8_t grown : 2;   /* how often the magazine of the heap's last thread had doubled when that thread ended */
    uint8_t refills : 4; /* of the magazine, by this thread, up to REFILLS_BEFORE_BUSY */
    uint8_t borrowed;    /* blocks of larger classes that it got since the last refill (supply.c) */

    bool refilled : 1; /* its magazine has been refilled since the last look */
    bool idle : 1;     /* its magazine was neither refilled nor full since the last look */
    uint16_t slots;    /* of the magazine's memory; undefined if there is none */
    uint8_t bounces;   /* blocks that the thread has stolen from idle heaps and then freed; and the low bits of */
    uint8_t freed;     /* `remote` when it last stole one. Both used only by the thread (supply.c) */
};

_Static_assert(STRAYS_MAX < 1u << 2 && MAGAZINE_GROWN_MAX < 1u << 2 && REFILLS_BEFORE_BUSY < 1u << 4,
               "the counters of a class fit into their bits");

#define INBOX_CLOSED UINT32_MAX

/* With check=deferred a heap's tag has this bit set. So the tag XOR its own entry is the class plus DEFERRED, the index
 * of a top in the second set. */
#define DEFERRED 128u

/* With harden=full the tops in use are a third set behind the others, which no fast path looks at. */
#define HARDENED (DEFERRED + SIZE_CLASSES)

_Static_assert(SIZE_CLASSES <= DEFERRED && DEFERRED <= CLASS_MASK, "a class and the bit fit into an entry's class");

/* Additional measures against misuse (modes/harden.h). */
enum harden { HARDEN_OFF, HARDEN_LIGHT, HARDEN_FULL };
#define HARDEN_MODES (HARDEN_FULL + 1)

/* First come the members that the fast paths touch, with copies of some of the window's, so that one pointer leads to
 * everything. `tops` has the tops of magazines in sets: the first is used with check=every, the second, from DEFERRED
 * on, with check=deferred; the others are empty. A class's top is at class + mode_offset. `granules` is the window's
 * for the heap's mode and 0 for the two others, so the fast path takes all blocks of a hardened heap for blocks outside
 * the window. It may be out of date; then the slow path catches up. */
struct heap {
    /* Used only by the thread. */
    void **tops[HARDENED + SIZE_CLASSES];
    _Alignas(64) uint32_t tag; /* page_map_tag(id), possibly with DEFERRED: see heap_tag */
    uintptr_t base;
    size_t granules[HARDEN_MODES];
    uintptr_t entry_of_zero;      /* where the page map would have the entry of address 0, */
    uintptr_t live_of_zero;       /* and the live map its word; not pointers, because none may point there */
    size_t until_beat;            /* bytes that may still be requested before the next beat */
    uint64_t shuffle;             /* with harden=light and full: see hardened_random */
    uint32_t until_sweep;         /* with harden=full: calls until the next step of a sweep (sweep.h) */
    uint32_t early_frees;         /* with harden=light: how many more blocks go to their slabs (EARLY_FREES) */
    size_t beat;                  /* the bytes of until_beat at its beginning */
    uint32_t mode_offset;         /* of the set in use: 0, DEFERRED or HARDENED */
    bool checks_every;            /* frees are checked at the call, not when a magazine is flushed */
    uintptr_t records_of_zero;    /* with harden=full: where the slot records would have those of address 0 */
    void **bottoms[SIZE_CLASSES]; /* of the magazines; NULL if there is none */
    uint32_t victim;              /* the heap that gave memory last (idle.c); 0: none */
    uint64_t collected_ms;        /* when the thread last collected all its units */
    uint64_t looked_ms;           /* when the thread last looked for idle heaps, */
    uint64_t searched_ms;         /* and last found no block to steal */
    uint64_t passed_ms;           /* its last pass of upkeep, */
    uint8_t purged_class;         /* whose abandoned slabs that looked at, */
    uint64_t rested_ms;           /* and when it last gave up what idle classes have cached */
    uint64_t beat_to_sample;      /* bytes from the end of the beat to the next sample (sample_points.h), */
    uint64_t beat_to_pass;        /* and to the next pass of upkeep */
    uint64_t interval;            /* mean distance of samples; 0: there are none */
    uint64_t random;              /* the state of its random numbers; 0: not started */
    struct os_stack stack;        /* the known bounds of the thread's stack */
    struct zeros_watch watches[ZEROS_SIZES];

    /* Under the lock. */
    struct heap_class classes[SIZE_CLASSES]; /* except their members for the thread alone */
    size_t magazine_cost;                    /* of its magazines (magazine_budget.h) */
    size_t magazine_drawn;                   /* from the budget of all heaps, to pay for them */
    size_t slab_bytes;                       /* in slots of the heap's slabs */
    struct list aging;                       /* slabs (slab.h) */
    size_t flush_at;                         /* idle classes are flushed before slab_bytes exceed this */
    struct depot depot;
    uint32_t backlog; /* units that left the inbox and are not sorted yet (remote.h) */
    uint32_t waiting; /* units in the rings of all classes (heap_class) */
    struct large_cache larges;

    /* From larges.wider on, a bare heap keeps its memory (heap_is_bare). Under the lock. */
    struct lock lock;
    uint32_t id;               /* constant */
    bool bare;                 /* all before larges.wider is undefined */
    struct list link;          /* in heaps.unused; under the lock of the table */
    uintptr_t thread;          /* the thread pointer of its present or last thread: for readers from outside */
    uint64_t thread_number;    /* of the same: threads are numbered from 1 as they get heaps */
    struct arena *arena;       /* the arena that has the heap (calls/arena.h); NULL: a thread's, or nobody's */
    struct hardened *hardened; /* NULL with harden=off */
    struct heap_counters counters;

    /* Used by everybody. The inbox has its own cache line, because other threads write to it. */
    _Alignas(
        64) _Atomic uint32_t inbox; /* units with remote frees (remote.h); INBOX_CLOSED while no thread has the heap */
    _Alignas(64) _Atomic uint32_t slow_calls; /* of the thread, modulo 2^32; only the thread writes it (relaxed) */
    _Atomic uint32_t seen_calls;              /* slow_calls when another thread last looked, */
    _Atomic uint64_t seen_ms;   /* and when it was first seen to be that (both relaxed: any value is harmless) */
    _Atomic uint32_t reclaimed; /* slow_calls when the heap was last reclaimed (relaxed) */
    _Atomic uintptr_t handle;   /* of its arena (calls/arena.h); 0: none. Written under the lock */
};

/* The bytes at the start of a heap that an unused one may give back. */
#define HEAP_BARE_BYTES (offsetof(struct heap, larges) + offsetof(struct large_cache, wider))

/* Whether an unused heap has given the memory of its first members back (unused_heaps.h). Whoever uses their lists asks
 * first. Under the heap's lock. */
static inline bool heap_is_bare(const struct heap *heap) {
    return heap->bare;
}

/* Bytes of a name, including its end. */
#define ARENA_NAME_MAX 32u

/* All under the heap's lock, except the name, which never changes. */
struct arena {
    char name[ARENA_NAME_MAX];
    struct list larges; /* struct large, by `link`: live ones, and those that a thread is about to take out */
};

/* All heaps. window.heaps has them by id. */
struct heaps {
    struct lock lock;
    _Atomic uint32_t made; /* heaps exist for the ids 1 .. made (written under the lock, read relaxed) */
    _Atomic uint32_t in_use;
    _Atomic uint32_t arenas;       /* number of those in use */
    bool checks_every;             /* of every heap; set at the start */
    uint32_t harden;               /* the same: enum harden */
    uint64_t started;              /* how often a thread got a heap */
    struct list unused;            /* see unused_heaps.h, as the four below */
    struct list *first_bare;       /* in it; its head if there is none */
    size_t full;                   /* heaps in it that are not bare, */
    size_t surplus;                /* the fewest in this period, */
    _Atomic uint64_t period_ms;    /* and its start (written under the lock, read relaxed) */
    _Atomic uint64_t large_bytes;  /* of large blocks that threads without a heap allocated, less freed (relaxed) */
    _Atomic size_t magazine_drawn; /* by all heaps (relaxed) */
    _Atomic size_t magazine_most;  /* the budget: the maximum of magazine_drawn (relaxed) */
    _Atomic size_t magazine_limit; /* the maximum of that, given the available memory (relaxed) */
    _Atomic uint32_t emptied;      /* the heap that last kept an empty slab (relaxed: a hint); 0: none */
    _Atomic size_t depot_bytes;    /* in the depots of all heaps, and what they have drawn beyond (relaxed) */
};

extern struct heaps heaps;

/* For threads without a heap: its magazines are all both empty and full. */
extern struct heap heap_none;

/* The calling thread's heap. */
extern TLS struct heap *heap_mine;

/* The same, or NULL if it has none. */
static inline struct heap *heap_or_null(void) {
    return heap_mine != &heap_none ? heap_mine : NULL;
}

/* The arena's handle, or NULL. Relaxed: it changes under the lock, and comes from the arena's creator. */
static inline struct mems_arena *arena_handle(const struct heap *heap) {
    return (struct mems_arena *)atomic_load_explicit(&heap->handle, memory_order_relaxed);
}

/* Counts bytes of large blocks that the heap's thread has allocated (negative: freed). May be heap_none. */
static inline void heap_count_large(struct heap *heap, uint64_t bytes) {
    if (LIKELY(heap != &heap_none)) {
        counter_add(&heap->counters.large_bytes, bytes);
    } else {
        atomic_fetch_add_explicit(&heaps.large_bytes, bytes, memory_order_relaxed);
    }
}

/* What calloc watches for the heap's thread; NULL for heap_none. */
static inline struct zeros_watch *heap_watches(struct heap *heap) {
    return heap != &heap_none ? heap->watches : NULL;
}

void heaps_start(bool checks_every, uint32_t harden);

/* Updates the heap's copy of window.granules. 0 for a hardened arena, so arena_free takes no short way, and for a heap
 * that is to have early frees. */
void heap_catch_up(struct heap *heap);

/* Prepares a heap for its next thread. Not a bare one. */
void heap_reset(struct heap *heap);

/* An unused or new heap for the thread with this thread pointer (0: for none); NULL if there is no memory. *alone: no
 * other thread has one. A thread that allocates for the first time in its last destructors ends without giving up its
 * heap; the next thread with its thread pointer gets that heap as it is, with an open inbox. */
struct heap *heap_obtain(uintptr_t thread, bool *alone);

/* Sets whether frees are checked at the call, for a heap without magazines. */
void heap_set_mode(struct heap *heap, bool checks_every);

/* The tag that a heap must have in its mode. */
uint32_t heap_tag(const struct heap *heap);

/* Gives up an empty heap. */
void heap_retire(struct heap *heap);

/* Bytes from one pass of a heap's upkeep to the next, and the most from one beat to the next. */
#define HEAP_BEAT ((size_t)256 << 10)

/* Counts bytes that the heap's thread requests. True at a *beat*: then call supply_beat. So a thread does upkeep even
 * if its magazines serve all its calls. */
ALWAYS_INLINE bool heap_count(struct heap *heap, size_t bytes) {
    return count_down(&heap->until_beat, bytes);
}

/* The heaps made: those with ids 1 to this. Acquire: pairs with the release of the last one's creation. */
static inline uint32_t heaps_made(void) {
    return atomic_load_explicit(&heaps.made, memory_order_acquire);
}

/* The heap with an id. Acquire: pairs with the release of its creation. */
static inline struct heap *heap_of(uint32_t id) {
    return atomic_load_explicit(&window.heaps[id], memory_order_acquire);
}

/* --- A heap's slabs: under its lock ------------------------------------------------------------------------------ */

/* A slab of a class with a free slot, or NULL. */
struct slab *heap_slab_with_room(const struct heap *heap, unsigned size_class);

/* Adds an abandoned slab with free slots, or a fresh slab; NULL if there is none to adopt, or no memory. */
struct slab *heap_adopt(struct heap *heap, unsigned size_class);
struct slab *heap_grow(struct heap *heap, unsigned size_class);

/* Adds the slab of a block that the heap's thread is about to free. False if it is shared or not abandoned. */
bool heap_adopt_of(struct heap *heap, const void *block, unsigned size_class);

/* The slab has just become full: moves it behind those with free slots. */
void heap_slab_full(struct heap *heap, unsigned size_class, struct slab *slab);

/* Gives blocks of one class that are not live back to the heap's own slabs. */
void heap_give(struct heap *heap, void *const *blocks, size_t count);

/* Collects remote frees in a unit of the heap. `writer`: see slab_collect. */
void heap_collect_unit(struct heap *heap, size_t unit, bool writer);

/* Puts all slabs with free slots into the heap's aging list. Returns how many that then has. */
size_t heap_age(struct heap *heap, uint64_t now_ms);

/* Begins to purge the oldest slab (slab_purge_begin). */
static inline bool heap_purge_begin(struct heap *heap, uint64_t now_ms, uint64_t age_ms, unsigned most,
                                    struct slab_purge *purge) {
    return !heap_is_bare(heap) && slab_purge_begin(&heap->aging, now_ms, age_ms, most, purge);
}

/* Ends a purge of a slab of any heap or class. Takes the lock of its present owner. */
void heap_purge_end(const struct slab_purge *purge);

/* In a forked child, with all locks free: ends the purges of threads that do not exist there. */
void heaps_purge_recover(void);

/* Gives back the spans of empty slabs that are among the first `most` of their class. */
void heap_drop_empty(struct heap *heap, unsigned most);

/* Gives back the spans of all slabs, even with live blocks; of slabs being purged, once that has ended. The magazines
 * must be empty, and remote frees collected. */
void heap_drop_all(struct heap *heap);

/* In a forked child, under the heap's lock: gives up the large blocks that lost threads were freeing. */
void heap_let_ended_go(struct heap *heap);

/* Removes a large block that the caller has freed from its arena. Takes the lock of the arena's heap. */
void heap_let_go(struct large *large);
