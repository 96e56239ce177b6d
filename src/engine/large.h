/*
 * large.h - blocks too large, or too strictly aligned, for a slab: a span of the window each, of nobody's heap.
 *
 * The block starts at the span's first unit, whose page map entry is UNIT_LARGE while a user holds it, and UNIT_PART
 * otherwise; the live map is not touched. Whoever changes the entry (one atomic operation) has freed the block, and is
 * alone with its span: it may give that back, or keep it for its own next large block (large_cache.h).
 */
#ifndef MEMS_ENGINE_LARGE_H
#define MEMS_ENGINE_LARGE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/bits.h"
#include "os/os.h"
#include "page_map.h"
#include "span.h"

/*
 * requested <= units * UNIT. Written by the block's user (realloc); read by statistics under the spans' lock (relaxed).
 * watched: calloc has left all of its pages untouched; written by the block's user, read by whoever frees it.
 */
struct large {
    struct span span;
    _Atomic size_t requested; /* bytes that were asked for */
    struct list link;         /* in a heap's cache (large_cache.h) */
    uint32_t period;          /* of the cache, when the block came into it */
    bool watched;
    _Atomic bool advised; /* see advice.h (relaxed) */
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

/* The descriptor of a live large block. */
static inline struct large *large_of(const void *block) {
    return CONTAINER_OF(window.spans[window_unit(block)], struct large, span);
}

/* The number of units that a block of `bytes` takes. */
static inline size_t large_units(size_t bytes) {
    return (bytes + UNIT - 1) >> UNIT_SHIFT;
}

/* A block of `size` bytes at a multiple of `alignment`; *zero tells whether it reads as zero. NULL: no room. */
void *large_alloc(size_t size, size_t alignment, bool *zero);

/* The same from a free span of at most `most` units that has been used before, and not given back to the system. */
void *large_alloc_dirty(size_t size, size_t alignment, size_t most);

static inline void large_set_size(struct large *large, size_t size) {
    atomic_store_explicit(&large->requested, size, memory_order_relaxed);
}

/* The block of a descriptor that is nobody's, at a size that its units hold: live again. */
static inline void *large_reuse(struct large *large, size_t size) {
    large_set_size(large, size);
    large->watched = false;
    atomic_store_explicit(&large->advised, false, memory_order_relaxed);
    page_map_store(large->span.first, UNIT_LARGE);
    return window_address(large->span.first);
}

/* From now on what the program makes of a live block's pages is evidence for calloc (zeros.h). */
static inline void large_watch(const void *block) {
    large_of(block)->watched = true;
}

static inline bool large_is_live(const struct large *large) {
    return page_map_load(large->span.first) == UNIT_LARGE;
}

/* Ends the life of the block that starts here: its descriptor, which is the caller's; NULL when none is live. Of two
 * threads that free one block exactly one gets it. */
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
        return NULL; /* acquire and release: what the block's users did comes before its next one */
    }
    return large_of(block);
}

/* Gives the span and the descriptor of a block that is nobody's back. */
void large_destroy(struct large *large);

/* The same for a block that nobody has used since `freed_ms`, by the coarse clock. */
void large_retire(struct large *large, uint64_t freed_ms);

/* Changes a live block's size in place; false when that is not possible. */
bool large_resize(void *block, size_t size);

/* The window has lost the addresses of a live block to another mapping: forgets the block. */
void large_lose(void *block);

#endif
