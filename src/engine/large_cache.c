#include "large_cache.h"

#include "base/bits.h"
#include "os/os.h"
#include "page_map.h"

void large_cache_init(struct large_cache *cache) {
    large_cache_set_count(cache, 0);
    large_cache_set_units(cache, 0);
    cache->period = 0;
    cache->decaying = false;
    for (unsigned bin = 0; bin < LARGE_BINS; bin++) {
        list_init(&cache->bins[bin]);
    }
    cache->before_ms = cache->period_ms = os_coarse_ms();
}

void large_cache_unload(struct large_cache *cache, size_t most) {
    for (unsigned bin = LARGE_BINS; bin-- > 0 && large_cache_count(cache) != 0;) {
        struct list *blocks = &cache->bins[bin];
        for (; !list_empty(blocks) && most != 0; most--) {
            struct large *large = large_cached_at(blocks->next);
            large_cache_remove(cache, large);
            large_destroy(large);
        }
    }
}

/* The oldest block of a bin, if it has been here for a whole period. */
static struct large *oldest_unused(const struct large_cache *cache, unsigned bin) {
    const struct list *blocks = &cache->bins[bin];
    if (list_empty(blocks)) {
        return NULL;
    }
    struct large *large = large_cached_at(blocks->prev);
    return cache->period - large->period >= 2 ? large : NULL;
}

void large_cache_decay(struct large_cache *cache, uint64_t now_ms, size_t most) {
    uint64_t decay_ms = atomic_load_explicit(&spans.decay_ms, memory_order_relaxed);
    uint64_t age = now_ms - cache->period_ms;
    if (large_cache_count(cache) == 0) {
        cache->before_ms = cache->period_ms = now_ms;
        return;
    }
    if (age >= decay_ms) {
        cache->period += age >= 2 * decay_ms ? 2 : 1;
        cache->before_ms = cache->period_ms;
        cache->period_ms = now_ms;
        cache->decaying = true;
    }
    bool more = cache->decaying;
    for (unsigned bin = 0; bin < LARGE_BINS && more; bin++) {
        struct large *large;
        while (most != 0 && (large = oldest_unused(cache, bin)) != NULL) {
            large_cache_remove(cache, large);
            large_retire(large, cache->before_ms);
            most--;
        }
        more = most != 0;
    }
    cache->decaying = cache->decaying && !more;
}

bool large_cache_valid(const struct large_cache *cache, const char **why) {
    size_t count = 0;
    size_t units = 0;
    for (unsigned bin = 0; bin < LARGE_BINS; bin++) {
        const struct list *blocks = &cache->bins[bin];
        if (!list_valid(blocks, large_cache_count(cache))) {
            *why = "a list of cached large blocks is torn";
            return false;
        }
        for (const struct list *link = blocks->next; link != blocks; link = link->next, count++) {
            const struct large *large = large_cached_at(link);
            if (page_map_load(large->span.first) != UNIT_PART) {
                *why = "a cached large block is live, or none";
                return false;
            }
            if (large_cache_bin(large->span.units) != bin) {
                *why = "a cached large block is in a bin that is not its size's";
                return false;
            }
            units += large->span.units;
        }
    }
    if (count != large_cache_count(cache) || units != large_cache_units(cache)) {
        *why = "the cached large blocks are not those that are counted";
        return false;
    }
    return true;
}
