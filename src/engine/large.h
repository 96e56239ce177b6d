/*
 * large.h - blocks too large, or too strictly aligned, for a slab: a span of the window each, of nobody's heap.
 *
 * The block starts at the span's first unit and its bit in the live map is set while a user holds it. Whoever clears
 * that bit (one atomic operation) has freed the block, and is alone with its span: it may give that back, or keep it
 * for its own next large block (depot.h).
 */
#ifndef MEMS_ENGINE_LARGE_H
#define MEMS_ENGINE_LARGE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/bits.h"
#include "os/os.h"
#include "span.h"

/*
 * requested <= units * UNIT. Written by the block's user (realloc); read by statistics under the spans' lock (relaxed).
 * watched: calloc has left all of its pages untouched; written by the block's user, read by whoever frees it.
 */
struct large {
    struct span span;
    _Atomic size_t requested; /* bytes that were asked for */
    struct large *next;       /* in a heap's depot */
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

/* The block of a descriptor that is nobody's, at a size that its units hold: live again. */
void *large_reuse(struct large *large, size_t size);

/* From now on what the program makes of a live block's pages is evidence for calloc (zeros.h). */
static inline void large_watch(const void *block) {
    large_of(block)->watched = true;
}

/* Ends the life of the block that starts here: its descriptor, which is the caller's; NULL when none is live. */
struct large *large_end(void *block);

/* Gives the span and the descriptor of a block that is nobody's back. */
void large_destroy(struct large *large);

/* Changes a live block's size in place; false when that is not possible. */
bool large_resize(void *block, size_t size);

/* The window has lost the addresses of a live block to another mapping: forgets the block. */
void large_lose(void *block);

#endif
