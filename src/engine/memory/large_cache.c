#include "large_cache.h"

#include "base/bits.h"
#include "engine/tables/holding.h"
#include "os/os.h"

void large_cache_init(struct large_cache *cache) {
    atomic_store_explicit(&cache->listed, 0, memory_order_relaxed);
    atomic_store_explicit(&cache->units, 0, memory_order_relaxed);
    atomic_store_explicit(&cache->used, false, memory_order_relaxed);
    cache->period = 0;
    cache->decaying = false;
    for (unsigned bin = 0; bin < LARGE_BINS; bin++) {
        list_init(&cache->bins[bin]);
        atomic_store_explicit(&cache->ready[bin], 0, memory_order_relaxed);
    }
    cache->before_ms = cache->period_ms = os_coarse_ms();
}

_Atomic uint8_t large_demands[LARGE_BINS];

/* Does nothing for blocks that need no proof. */
static void set_demand(size_t units, enum large_demand demand) {
    if (units >= LARGE_UNPROVEN_UNITS && units < LARGE_UNPROVEN_END) {
        atomic_store_explicit(&large_demands[large_cache_bin(units)], (uint8_t)demand, memory_order_relaxed);
    }
}

void large_cache_note_missed(size_t units) {
    if (units < LARGE_UNPROVEN_END &&
        atomic_load_explicit(&large_demands[large_cache_bin(units)], memory_order_relaxed) == DEMAND_FREED) {
        set_demand(units, DEMAND_PROVEN);
    }
}

static uint64_t ready_in(const struct large_cache *cache, unsigned bin) {
    return atomic_load_explicit(&cache->ready[bin], memory_order_relaxed);
}

size_t large_cache_count(const struct large_cache *cache) {
    size_t count = large_cache_listed(cache);
    for (unsigned bin = 0; bin < LARGE_BINS; bin++) {
        count += ready_in(cache, bin) != 0;
    }
    return count;
}

size_t large_cache_units(const struct large_cache *cache) {
    size_t units = atomic_load_explicit(&cache->units, memory_order_relaxed);
    for (unsigned bin = 0; bin < LARGE_BINS; bin++) {
        units += large_ready_units(ready_in(cache, bin));
    }
    return units;
}

/* There always is room in a claimed window, whose limit bounds the cache too, and if decay_ms says to keep all freed
 * memory. */
bool large_cache_has_share(const struct large_cache *cache, size_t units) {
    const size_t share = max_size((holding_held() >> UNIT_SHIFT) / UNPROVEN_SHARE, UNPROVEN_UNITS);
    return window_is_claimed() || atomic_load_explicit(&spans.decay_ms, memory_order_relaxed) == SPANS_KEPT_MS ||
           large_cache_units(cache) + units <= share;
}

void large_cache_refuse(struct large_cache *cache, struct large *large) {
    const size_t units = large->span.units;
    if (large_cache_wants_block(cache, large)) {
        large_destroy(large);
        return;
    }
    set_demand(units, DEMAND_FREED);
    large_destroy_purged(large);
}

struct large *large_cache_take_wider(struct large_cache *cache, size_t units) {
    const size_t most = units + LARGE_WIDER - atomic_load_explicit(&cache->wider, memory_order_relaxed);
    if (units == 0 || most >= LARGE_UNITS_END) {
        return NULL; /* 0: the size was out of range */
    }
    const unsigned last = large_cache_bin(most);
    for (unsigned bin = large_cache_bin(units); bin <= last; bin++) {
        const size_t found = large_ready_units(ready_in(cache, bin));
        struct large *large = found > units && found <= most ? large_cache_take_place(&cache->ready[bin]) : NULL;
        if (large != NULL) {
            atomic_fetch_add_explicit(&cache->wider, (uint32_t)(found - units), memory_order_relaxed);
            large->excess = &cache->wider;
            return large;
        }
    }
    return NULL;
}

/* Takes a block of a bin, the newest first; NULL if it has none. */
static struct large *take_any(struct large_cache *cache, unsigned bin) {
    struct large *large = large_cache_take_place(&cache->ready[bin]);
    if (large == NULL && !list_empty(&cache->bins[bin])) {
        large = large_cached_at(cache->bins[bin].next);
        large_cache_remove(cache, large);
    }
    return large;
}

void large_cache_flush(struct large_cache *cache, size_t most) {
    for (unsigned bin = LARGE_BINS; bin-- > 0 && most != 0;) {
        struct large *large;
        for (; most != 0 && (large = take_any(cache, bin)) != NULL; most--) {
            large_destroy(large);
        }
    }
}

size_t large_cache_flush_units(struct large_cache *cache, size_t units) {
    size_t left = min_size(units, LARGE_UNITS_END - 2);
    for (unsigned bin = large_cache_bin(left + 1); bin-- > 0;) {
        struct large *large = take_any(cache, bin);
        if (large != NULL) {
            left -= large->span.units;
            large_destroy(large);
            bin = large_cache_bin(left + 1);
        }
    }
    return min_size(units, LARGE_UNITS_END - 2) - left;
}

static bool is_unused(const struct large_cache *cache, const struct large *large) {
    return cache->period - large->period >= 2;
}

/* The oldest block of a bin, taken out if it has been there for a whole period; else NULL. */
static struct large *take_unused(struct large_cache *cache, unsigned bin) {
    struct list *blocks = &cache->bins[bin];
    if (!list_empty(blocks)) {
        struct large *large = large_cached_at(blocks->prev);
        if (!is_unused(cache, large)) {
            return NULL;
        }
        large_cache_remove(cache, large);
        return large;
    }
    const uint64_t word = ready_in(cache, bin);
    const bool due = word != 0 && is_unused(cache, CONTAINER_OF(window.spans[(uint32_t)word], struct large, span));
    return due ? large_cache_take_place(&cache->ready[bin]) : NULL;
}

void large_cache_decay(struct large_cache *cache, uint64_t now_ms, size_t most) {
    uint64_t decay_ms = atomic_load_explicit(&spans.decay_ms, memory_order_relaxed);
    uint64_t age = now_ms - cache->period_ms;
    if (!large_cache_used(cache) || large_cache_count(cache) == 0) {
        atomic_store_explicit(&cache->used, false, memory_order_relaxed);
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
        while (most != 0 && (large = take_unused(cache, bin)) != NULL) {
            set_demand(large->span.units, DEMAND_UNKNOWN);
            large_retire(large, cache->before_ms);
            most--;
        }
        more = most != 0;
    }
    cache->decaying = cache->decaying && !more;
}
