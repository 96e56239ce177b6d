/*
 * large_cache.h - large blocks that a heap's thread has freed, kept whole because it may soon need them again.
 *
 * A cached block keeps its span and its descriptor, so a pair of malloc and free costs the same for 40 KiB as for 60
 * MiB. A request takes a block of exactly its number of units, or a ready one that is slightly *wider*, so changing
 * sizes do not split and merge a span over and over. Blocks are flushed after decay_ms, and before the process's memory
 * grows. Like free spans, they can serve any request, so no byte count bounds them, unless a limit does or nothing
 * shows that their sizes are needed again (large_cache_wants).
 *
 * All is under the lock of the cache's heap, except the *ready* block of each bin, the one freed last. The heap's
 * thread fills an empty place and takes from it without the lock. Others only take, and hold the lock. Both take by an
 * exchange.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bits.h"
#include "base/list.h"
#include "huge.h"
#include "large.h"

/* Each number of units below 2^LARGE_EXACT_SHIFT has a bin; above, each doubling has two. */
#define LARGE_EXACT_SHIFT 3u
#define LARGE_UNITS_SHIFT 10u
#define LARGE_UNITS_END ((size_t)1 << LARGE_UNITS_SHIFT)
#define LARGE_BINS ((1u << LARGE_EXACT_SHIFT) + 2 * (LARGE_UNITS_SHIFT - LARGE_EXACT_SHIFT))

#define LARGES_MAX 256u

/* In a claimed window, where cached blocks take from what a limit leaves for the rest of the process, this bounds the
 * units of those that are not ready. */
#define LARGES_CLAIMED_UNITS ((size_t)256)

/* How many blocks of a bin a search looks at. */
#define LARGE_PROBES 8u

/* How many units a heap's live blocks may have in total beyond their need; like cached memory, they are kept. */
#define LARGE_WIDER 8u

_Static_assert(LARGE_UNITS_END == HUGE_MIN >> UNIT_SHIFT, "a block that is not huge has a bin");

/* All is written under the lock, except `used`, `ready` and `wider`. `listed` and `units` are also read without it
 * (relaxed), as hints and for statistics. A cached block has no sample, no arena and no headroom. */
struct large_cache {
    _Atomic bool used;                  /* it may have blocks. Only the thread writes it (relaxed) */
    _Atomic uint64_t ready[LARGE_BINS]; /* units << 32 | first unit of a block; 0: none */
    struct list bins[LARGE_BINS];       /* of struct large, by `link`, newest first; their live bits are clear */
    _Atomic size_t listed;              /* blocks in the bins' lists, */
    _Atomic size_t units;               /* and their units */
    uint64_t period_ms;                 /* the start of this decay period, by the coarse clock */
    uint64_t before_ms;                 /* and that of the one before */
    uint32_t period;                    /* this period's number, modulo 2^32 */
    bool decaying;                      /* some block may be older than the last period */
    _Atomic uint32_t wider; /* excess units of live blocks taken from here (relaxed); a reused heap keeps the count, a
                               bare one too */
};

void large_cache_init(struct large_cache *cache);

/* The bin of a number of units below LARGE_UNITS_END. */
static inline unsigned large_cache_bin(size_t units) {
    if (units < 1u << LARGE_EXACT_SHIFT) {
        return (unsigned)units;
    }
    unsigned level = floor_log2(units);
    return (1u << LARGE_EXACT_SHIFT) + (level - LARGE_EXACT_SHIFT) * 2 + (unsigned)(units >> (level - 1) & 1u);
}

/* False if the cache has no blocks. */
static inline bool large_cache_used(const struct large_cache *cache) {
    return atomic_load_explicit(&cache->used, memory_order_relaxed);
}

/* The cache's blocks, and their units; approximate without the lock. */
size_t large_cache_count(const struct large_cache *cache);
size_t large_cache_units(const struct large_cache *cache);

static inline size_t large_cache_listed(const struct large_cache *cache) {
    return atomic_load_explicit(&cache->listed, memory_order_relaxed);
}

static inline void large_cache_list(struct large_cache *cache, size_t blocks, size_t units) {
    atomic_store_explicit(&cache->listed, large_cache_listed(cache) + blocks, memory_order_relaxed);
    atomic_store_explicit(&cache->units, atomic_load_explicit(&cache->units, memory_order_relaxed) + units,
                          memory_order_relaxed);
}

static inline uint64_t large_ready_word(const struct large *large) {
    return (uint64_t)large->span.units << 32 | large->span.first;
}

static inline size_t large_ready_units(uint64_t word) {
    return word >> 32;
}

/* Whether a block may be cached: it is not too large, and unused memory may be kept. */
static inline bool large_cache_accepts(size_t units) {
    return units < LARGE_UNITS_END && atomic_load_explicit(&spans.decay_ms, memory_order_relaxed) != 0;
}

/* Many programs need many of their large blocks only once. So blocks of LARGE_UNPROVEN_UNITS to LARGE_UNPROVEN_END - 1
 * units are *unproven* until a request finds none cached after one of the same bin was freed. Of unproven blocks, a
 * cache keeps UNPROVEN_UNITS, or 1/UNPROVEN_SHARE of what the process holds if that is more; the memory of the others
 * goes back at once. Larger blocks are few, and to purge one would make a call too long. */
#define LARGE_UNPROVEN_UNITS ((size_t)1 << LARGE_EXACT_SHIFT)
#define LARGE_UNPROVEN_END ((size_t)64)
#define UNPROVEN_UNITS ((size_t)64)
#define UNPROVEN_SHARE 4u

enum large_demand { DEMAND_UNKNOWN, DEMAND_FREED, DEMAND_PROVEN };

/* The demand for the blocks of each bin, in all heaps (relaxed: a wrong one costs some page faults). */
extern _Atomic uint8_t large_demands[LARGE_BINS];

/* Whether a cache's share of unproven blocks has room for another one of `units`. */
bool large_cache_has_share(const struct large_cache *cache, size_t units);

/* Whether a freed block is worth keeping. One of each bin always is. */
static inline bool large_cache_wants(const struct large_cache *cache, size_t units) {
    return units < LARGE_UNPROVEN_UNITS || units >= LARGE_UNPROVEN_END ||
           atomic_load_explicit(&cache->ready[large_cache_bin(units)], memory_order_relaxed) == 0 ||
           atomic_load_explicit(&large_demands[large_cache_bin(units)], memory_order_relaxed) == DEMAND_PROVEN ||
           large_cache_has_share(cache, units);
}

/* The same for a block that may be watched. Those hold little if the program uses little of them, and what lies around
 * them is fresh, so purging would gain little and scatter the next ones. */
static inline bool large_cache_wants_block(const struct large_cache *cache, const struct large *large) {
    return large->watched || large_cache_wants(cache, large->span.units);
}

/* Notes that no cache had a block for a request of this many units. */
void large_cache_note_missed(size_t units);

/* Frees a block that the cache has refused, and its memory if it is unproven. */
void large_cache_refuse(struct large_cache *cache, struct large *large);

static inline void large_cache_make_ready(struct large_cache *cache, unsigned bin, struct large *large) {
    large->period = cache->period;
    atomic_store_explicit(&cache->used, true, memory_order_relaxed);
    /* Release: pairs with the exchange of another thread that takes the block. */
    atomic_store_explicit(&cache->ready[bin], large_ready_word(large), memory_order_release);
}

/* For the heap's thread, without the lock: makes a block ready in its bin. False if another is, or it may not be
 * cached. */
static inline bool large_cache_put_ready(struct large_cache *cache, struct large *large) {
    const size_t units = large->span.units;
    if (!large_cache_accepts(units)) {
        return false;
    }
    const unsigned bin = large_cache_bin(units);
    const bool empty = atomic_load_explicit(&cache->ready[bin], memory_order_relaxed) == 0;
    if (empty) {
        large_cache_make_ready(cache, bin, large);
    }
    return empty;
}

/* Takes the block of a ready place; NULL if it is empty. Acquire: pairs with the release of whoever put it there. */
static inline struct large *large_cache_take_place(_Atomic uint64_t *ready) {
    uint64_t word = atomic_load_explicit(ready, memory_order_relaxed);
    if (os_single_threaded()) {
        atomic_store_explicit(ready, 0, memory_order_relaxed);
    } else if (word != 0) {
        word = atomic_exchange_explicit(ready, 0, memory_order_acquire);
    }
    return word != 0 ? CONTAINER_OF(window.spans[(uint32_t)word], struct large, span) : NULL;
}

/* For the heap's thread, without the lock: takes the ready block of exactly this many units, or returns NULL. */
static inline struct large *large_cache_take_ready(struct large_cache *cache, size_t units) {
    if (units >= LARGE_UNITS_END) {
        return NULL;
    }
    _Atomic uint64_t *ready = &cache->ready[large_cache_bin(units)];
    const uint64_t word = atomic_load_explicit(ready, memory_order_relaxed);
    return large_ready_units(word) == units && units != 0 ? large_cache_take_place(ready) : NULL;
}

/* The same for a wider ready block. The cache counts the excess units until large_narrow. */
struct large *large_cache_take_wider(struct large_cache *cache, size_t units);

/* Whether the cache's lists have no room for another `units`. */
static inline bool large_cache_full(const struct large_cache *cache, size_t units) {
    return large_cache_listed(cache) == LARGES_MAX ||
           (window_is_claimed() &&
            atomic_load_explicit(&cache->units, memory_order_relaxed) + units > LARGES_CLAIMED_UNITS);
}

/* For the heap's thread: makes a block that nobody holds its bin's ready one; the one before goes into the list. False
 * if the cache is full, or the block may not be cached. */
static inline bool large_cache_put(struct large_cache *cache, struct large *large) {
    const size_t units = large->span.units;
    if (!large_cache_accepts(units) || large_cache_full(cache, units)) {
        return false;
    }
    const unsigned bin = large_cache_bin(units);
    struct large *before = large_cache_take_place(&cache->ready[bin]);
    if (before != NULL) {
        list_push_front(&cache->bins[bin], &before->link);
        large_cache_list(cache, 1, before->span.units);
    }
    large_cache_make_ready(cache, bin, large);
    return true;
}

static inline struct large *large_cached_at(const struct list *link) {
    return CONTAINER_OF(link, struct large, link);
}

static inline void large_cache_remove(struct large_cache *cache, struct large *large) {
    list_remove(&large->link);
    large_cache_list(cache, (size_t)-1, -(size_t)large->span.units);
}

/* The last freed block of exactly this many units in the lists, or NULL. O(1): it looks at LARGE_PROBES blocks. */
static inline struct large *large_cache_take(struct large_cache *cache, size_t units) {
    if (units >= LARGE_UNITS_END) {
        return NULL;
    }
    struct list *bin = &cache->bins[large_cache_bin(units)];
    struct list *link = bin->next;
    for (unsigned i = 0; i < LARGE_PROBES && link != bin; i++, link = link->next) {
        struct large *large = large_cached_at(link);
        if (large->span.units == units) {
            large_cache_remove(cache, large);
            return large;
        }
    }
    return NULL;
}

/* Flushes up to `most` blocks, largest first. */
void large_cache_flush(struct large_cache *cache, size_t most);

/* Flushes blocks of up to `units` units in total, the largest that fit first. Returns how many units they had. */
size_t large_cache_flush_units(struct large_cache *cache, size_t units);

/* Flushes up to `most` blocks that were here for a whole period, by the coarse clock, and purges them if that is
 * quick. */
void large_cache_decay(struct large_cache *cache, uint64_t now_ms, size_t most);
