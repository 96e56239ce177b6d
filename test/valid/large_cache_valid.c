/* large_cache_valid.c - the invariants of a cache of large blocks. */
#include "large_cache_valid.h"

#include "base/broken.h"
#include "engine/tables/page_map.h"

static bool block_valid(const struct large *large, unsigned bin, const char **why) {
    if (page_map_load(large->span.first) != UNIT_PART) {
        return broken(why, "a cached large block is live, or none");
    }
    if (large_cache_bin(large->span.units) != bin) {
        return broken(why, "a cached large block is in a bin that is not its size's");
    }
    if (large->sample != NULL || large->arena != 0 || large_is_ample(large) || large->excess != NULL) {
        return broken(why, "a cached large block has a sample, an arena or headroom, or counts as too wide");
    }
    return true;
}

static bool ready_valid(const struct large_cache *cache, unsigned bin, const char **why) {
    const uint64_t word = atomic_load_explicit(&cache->ready[bin], memory_order_relaxed);
    if (word == 0) {
        return true;
    }
    const struct large *large = CONTAINER_OF(window.spans[(uint32_t)word], struct large, span);
    if (large_ready_word(large) != word) {
        return broken(why, "a ready large block is not where it is said to be");
    }
    return block_valid(large, bin, why);
}

bool large_cache_valid(const struct large_cache *cache, const char **why) {
    size_t count = 0;
    size_t units = 0;
    for (unsigned bin = 0; bin < LARGE_BINS; bin++) {
        const struct list *blocks = &cache->bins[bin];
        if (!list_valid(blocks, large_cache_listed(cache))) {
            return broken(why, "a list of cached large blocks is torn");
        }
        for (const struct list *link = blocks->next; link != blocks; link = link->next, count++) {
            const struct large *large = large_cached_at(link);
            if (!block_valid(large, bin, why)) {
                return false;
            }
            units += large->span.units;
        }
        if (!ready_valid(cache, bin, why)) {
            return false;
        }
    }
    if (count != large_cache_listed(cache) || units != atomic_load_explicit(&cache->units, memory_order_relaxed)) {
        return broken(why, "the cached large blocks are not those that are counted");
    }
    if (atomic_load_explicit(&cache->wider, memory_order_relaxed) > LARGE_WIDER) {
        return broken(why, "large blocks have too many units that they do not need");
    }
    if (large_cache_count(cache) != 0 && !large_cache_used(cache)) {
        return broken(why, "a cache that has large blocks is not used");
    }
    return true;
}
