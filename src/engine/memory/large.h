/* large.h - blocks too large, or too strictly aligned, for a slab. Each has a span of the window, and belongs to no
 * heap. The page map entry of its first unit is UNIT_LARGE while a user holds the block, otherwise UNIT_PART; the live
 * map is not used. The thread that changes the entry, by one atomic operation, has freed the block and owns the span:
 * it gives that back, or keeps it for its own next large block (large_cache.h). */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/bits.h"
#include "base/compiler.h"
#include "engine/tables/page_map.h"
#include "os/os.h"
#include "span.h"

struct sample;

/* requested <= units * UNIT. Most fields are the user's: written by whoever holds the block, read by whoever frees it.
 * requested  is read by statistics under the spans' lock (relaxed).
 * ample      changes only under the spans' lock; while it is set, so do requested and span.units, because the units
 *            beyond large_units(requested) may be cut off at any time (larges_cut_headroom).
 * arena      is written before the user gets the block, and by whoever has ended its life. */
struct large {
    struct span span;
    _Atomic size_t requested; /* bytes requested */
    struct list link;         /* in a heap's cache (large_cache.h), or in an arena's list */
    uint32_t period;          /* the cache's, when the block entered it */
    uint8_t origin;           /* enum origin (engine.h), in the hardened modes */
    uint8_t fence;            /* enum large_fence; also written by whoever has freed the block */
    bool watched;             /* calloc has left all of its pages untouched */
    _Atomic bool advised;     /* see advice.h (relaxed) */
    _Atomic bool ample;       /* it has headroom */
    struct sample *sample;    /* the sample that the block is (sampled_block.h), or NULL */
    uint32_t arena;           /* its arena's heap, whose list then holds the block by `link`; 0: none */
    _Atomic uint32_t *excess; /* counts units that it does not need (large_cache.h), or NULL */
};

static inline size_t large_requested(const struct large *large) {
    return atomic_load_explicit(&large->requested, memory_order_relaxed);
}

/* The bytes that the user may write. */
static inline size_t large_size(const struct large *large) {
    return round_up(large_requested(large), OS_PAGE);
}

static inline bool large_advised(const struct large *large) {
    return atomic_load_explicit(&large->advised, memory_order_relaxed);
}

/* Acquire: pairs with set_ample's release, so that after the headroom was cut off, the span's new end is seen. */
static inline bool large_is_ample(const struct large *large) {
    return atomic_load_explicit(&large->ample, memory_order_acquire);
}

static inline struct large *large_of(const void *block) {
    return CONTAINER_OF(window.spans[window_unit(block)], struct large, span);
}

static inline size_t large_units(size_t bytes) {
    return (bytes + UNIT - 1) >> UNIT_SHIFT;
}

/* The part of a large block's span that faults when touched: nothing, everything behind the block, or all of it. */
enum large_fence { FENCE_NONE, FENCE_END, FENCE_ALL };

/* From now on, a guard of at least this size follows every large block (harden_guards.h). */
void large_fence_ends(size_t guard);

/* The number of units that a block of `bytes` takes with its guard. */
size_t large_units_fenced(size_t bytes);

/* Makes a block that nobody holds, but that may still be touched, read as zero. */
void large_clear(struct large *large);

/* Fences and purges all of a block that nobody holds. False if that is impossible. */
bool large_fence_all(struct large *large);

/* A block of `size` bytes at a multiple of `alignment`, or NULL if there is no room. *zero: it reads as zero. */
void *large_alloc(size_t size, size_t alignment, bool *zero);

/* The same from a dirty free span of at most `most` units. */
void *large_alloc_dirty(size_t size, size_t alignment, size_t most);

static inline void large_set_size(struct large *large, size_t size) {
    atomic_store_explicit(&large->requested, size, memory_order_relaxed);
}

/* Whether nothing else ends with the block: it is not watched, sampled, advised, or in an arena. */
static inline bool large_is_plain(const struct large *large) {
    return !large->watched && large->sample == NULL && large->arena == 0 && !large_advised(large);
}

/* Makes a block that nobody holds live again, with a size that its units and its fence have room for. */
static inline void *large_reuse(struct large *large, size_t size) {
    large_set_size(large, size);
    large->watched = false;
    page_map_store(large->span.first, UNIT_LARGE);
    return window_address(large->span.first);
}

/* From now on, calloc learns from the program's use of a live block's pages (zeros.h). */
static inline void large_watch(const void *block) {
    large_of(block)->watched = true;
}

static inline bool large_is_live(const struct large *large) {
    return page_map_load(large->span.first) == UNIT_LARGE;
}

/* Shrinks the block, allocated at a larger size, to `size` bytes; the rest becomes *headroom*, into which it grows
 * without moving. `purge`: large headroom is purged. */
void large_keep_headroom(void *block, size_t size, bool purge);

/* For a block whose life has ended: its headroom becomes part of it. */
COLD void large_end_headroom(struct large *large);

/* For a block whose life has ended, or that is to be resized: its excess units are no longer counted. */
COLD void large_narrow(struct large *large);

/* Frees the headroom of all live blocks, when memory is short. O(spans) if there is any. */
void larges_cut_headroom(void);

/* Ends the life of the block that starts here; returns its descriptor, now the caller's, or NULL if none is live. If
 * two threads free a block, exactly one gets it. */
static inline struct large *large_end(void *block) {
    uintptr_t offset = (uintptr_t)block - window.base;
    size_t unit = offset >> UNIT_SHIFT;
    uint32_t entry = page_map_load(unit);
    if (entry != UNIT_LARGE || offset % UNIT != 0) {
        return NULL;
    }
    if (os_single_threaded()) {
        page_map_store(unit, UNIT_PART);
    } else if (!atomic_compare_exchange_strong_explicit(&window.page_map[unit], &entry, UNIT_PART, memory_order_acq_rel,
                                                        memory_order_relaxed)) {
        return NULL; /* acquire and release: what the block's users did comes before its reuse */
    }
    struct large *large = large_of(block);
    if (UNLIKELY(large_is_ample(large))) {
        large_end_headroom(large);
    }
    if (UNLIKELY(large->excess != NULL)) {
        large_narrow(large);
    }
    return large;
}

/* Frees the span and the descriptor of a block that nobody holds. */
void large_destroy(struct large *large);

/* The same; its memory goes back at once. */
void large_destroy_purged(struct large *large);

/* The same for a block that has been unused since `freed_ms`, by the coarse clock. */
void large_retire(struct large *large, uint64_t freed_ms);

/* The same for a block whose pages have been moved to another. */
void large_destroy_moved(struct large *large);

/* Resizes a live block in place. False if that is impossible. */
bool large_resize(void *block, size_t size);

/* The same for a block that ends with a fence, which moves with the end. Pages that it gains read as zero if free
 * memory does; those that it loses are cleared. If it shrinks by less than half, it keeps its units. */
bool large_resize_fenced(void *block, size_t size);

/* Forgets a live block whose addresses another mapping has taken. large_lose_ended: a block whose life has ended, and
 * whose memory cannot be used again. */
void large_lose(void *block);
void large_lose_ended(struct large *large);
