/*
 * large_cache.h - the large blocks that a heap's thread has freed and may soon need again, whole.
 *
 * A block that goes into the cache and comes out again keeps its span and its descriptor, so a pair of malloc and free
 * costs the same for 40 KiB and for 60 MiB. Blocks are found by their exact number of units. What has lain in the cache
 * for a period of decay_ms is given back, and so are blocks of any size before the process's memory grows: cached
 * memory can serve any request, as free spans can, and no byte count is needed to bound it.
 *
 * All under the lock of the cache's heap.
 */
#ifndef MEMS_ENGINE_LARGE_CACHE_H
#define MEMS_ENGINE_LARGE_CACHE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bits.h"
#include "base/list.h"
#include "huge.h"
#include "large.h"

/* Blocks of fewer than 2^LARGE_EXACT_SHIFT units have a bin for each number of them; above, each doubling has two. */
#define LARGE_EXACT_SHIFT 3u
#define LARGE_UNITS_SHIFT 10u
#define LARGE_UNITS_END ((size_t)1 << LARGE_UNITS_SHIFT)
#define LARGE_BINS ((1u << LARGE_EXACT_SHIFT) + 2 * (LARGE_UNITS_SHIFT - LARGE_EXACT_SHIFT))

/* The most blocks that a cache holds. */
#define LARGES_MAX 256u

/* Blocks of a bin that a search looks at. */
#define LARGE_PROBES 8u

_Static_assert(LARGE_UNITS_END == HUGE_MIN >> UNIT_SHIFT, "a block that is not huge has a bin");

/* All written under the lock; `count` and `units` are read without (relaxed), as hints and for statistics. */
struct large_cache {
    struct list bins[LARGE_BINS]; /* of struct large, by `link`, the newest first; their live bits are clear */
    _Atomic size_t count;
    _Atomic size_t units; /* of all its blocks */
    uint64_t period_ms;   /* when this period of the decay began, by the coarse clock, */
    uint64_t before_ms;   /* and the one before it */
    uint32_t period;      /* its number, modulo 2^32 */
    bool decaying;        /* some block may be of an older period than the last one */
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

static inline size_t large_cache_count(const struct large_cache *cache) {
    return atomic_load_explicit(&cache->count, memory_order_relaxed);
}

static inline size_t large_cache_units(const struct large_cache *cache) {
    return atomic_load_explicit(&cache->units, memory_order_relaxed);
}

static inline void large_cache_set_units(struct large_cache *cache, size_t units) {
    atomic_store_explicit(&cache->units, units, memory_order_relaxed);
}

static inline void large_cache_set_count(struct large_cache *cache, size_t count) {
    atomic_store_explicit(&cache->count, count, memory_order_relaxed);
}

/* Takes in a block that is nobody's. False when it is too large, the cache is full, or nothing that is not in use shall
 * be kept. */
static inline bool large_cache_put(struct large_cache *cache, struct large *large) {
    size_t count = large_cache_count(cache);
    if (large->span.units >= LARGE_UNITS_END || count == LARGES_MAX ||
        atomic_load_explicit(&spans.decay_ms, memory_order_relaxed) == 0) {
        return false;
    }
    large->period = cache->period;
    list_push_front(&cache->bins[large_cache_bin(large->span.units)], &large->link);
    large_cache_set_count(cache, count + 1);
    large_cache_set_units(cache, large_cache_units(cache) + large->span.units);
    return true;
}

static inline struct large *large_cached_at(const struct list *link) {
    return CONTAINER_OF(link, struct large, link);
}

/* Takes out a block that is in the cache. */
static inline void large_cache_remove(struct large_cache *cache, struct large *large) {
    list_remove(&large->link);
    large_cache_set_count(cache, large_cache_count(cache) - 1);
    large_cache_set_units(cache, large_cache_units(cache) - large->span.units);
}

/* The block of exactly this many units that was freed last; NULL when there is none. O(1): among different sizes that
 * share a bin it looks at a few only. */
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

/* Gives up to `most` blocks back, the largest first. */
void large_cache_unload(struct large_cache *cache, size_t most);

/* With the time by the coarse clock: gives back, and to the system if that is quick, up to `most` blocks that have lain
 * here for a whole period. */
void large_cache_decay(struct large_cache *cache, uint64_t now_ms, size_t most);

/* True when all invariants hold; otherwise *why names the first that does not. O(blocks). */
bool large_cache_valid(const struct large_cache *cache, const char **why);

#endif
