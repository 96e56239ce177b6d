/*
 * page_map.h - the use of each unit of the window: a 32-bit entry per unit.
 *
 *    31                              8 7             0
 *   +---------------------------------+---------------+
 *   |             heap id             |  size class   |   a unit of a slab (the id is 1 or more)
 *   +---------------------------------+---------------+
 *   |                0                |     kind      |   anything else
 *   +---------------------------------+---------------+
 *
 * Entries change under the spans' lock (a span is taken or freed) or a class's (a slab is abandoned or adopted); the
 * first one of a large block when that is allocated and freed (large.h). They are read without a lock: a thread that
 * frees a block learned its address after the entry was written, and whoever acts on a heap id re-checks it under a
 * lock. So relaxed order suffices, except for a thread that goes from an id to its heap: that load is an acquire, and
 * the stores are releases.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "window.h"

/* A sampled block's entry has the class for zero-size blocks (size_class.h), so code that clears a slot by its class
 * clears nothing of it; it is zero already. */
enum unit_kind {
    UNIT_UNUSED,   /* never part of a span; the initial value */
    UNIT_FRESH,    /* free; reads as zero */
    UNIT_UNMAPPED, /* free; nothing is mapped there: claim it before use */
    UNIT_DIRTY,    /* free; holds what its last user left */
    UNIT_PURGING,  /* being purged, in no index */
    UNIT_LARGE,    /* a live large block starts here */
    UNIT_PART,     /* other units of a large block's span */
    UNIT_LOST,     /* lost to another mapping; never used again */
    UNIT_KINDS,
    UNIT_SAMPLES = SIZE_CLASSES /* sampled small blocks (guarded_span.h) */
};

#define HEAP_ID_SHIFT 8u
#define CLASS_MASK 0xffu

/* Slabs that no heap owns: any thread may free into them, under the class's lock. */
#define HEAP_ABANDONED 0xffffffu
/* No slab has this id: its tag matches no entry. */
#define HEAP_NOBODY 0xfffffeu
_Static_assert(HEAPS_MAX <= HEAP_NOBODY, "every heap's number is an id");

static inline uint32_t page_map_tag(uint32_t id) {
    return id << HEAP_ID_SHIFT;
}

static inline bool entry_is_slab(uint32_t entry) {
    return entry >= 1u << HEAP_ID_SHIFT;
}

static inline uint32_t entry_heap(uint32_t entry) {
    return entry >> HEAP_ID_SHIFT;
}

static inline unsigned entry_class(uint32_t entry) {
    return entry & CLASS_MASK;
}

static inline bool entry_is_free(uint32_t entry) {
    return entry >= UNIT_FRESH && entry <= UNIT_DIRTY;
}

/* False for unmapped and lost units, where others may have mapped memory; a huge block of ours, too. */
static inline bool entry_is_used(uint32_t entry) {
    return entry >= UNIT_LARGE && entry != UNIT_LOST;
}

/* For going from the id to its heap: pairs with the release of page_map_store. */
static inline uint32_t page_map_acquire(size_t unit) {
    return atomic_load_explicit(&window.page_map[unit], memory_order_acquire);
}

static inline uint32_t page_map_load(size_t unit) {
    return atomic_load_explicit(&window.page_map[unit], memory_order_relaxed);
}

/* Whether an address lies in a span in use: what is there is a slot, a large block, or nobody's. */
static inline bool page_map_holds(const void *address) {
    return window_holds(address) && entry_is_used(page_map_load(window_unit(address)));
}

static inline void page_map_store(size_t unit, uint32_t entry) {
    atomic_store_explicit(&window.page_map[unit], entry, memory_order_release);
}

void page_map_fill(size_t first, size_t units, uint32_t entry);

/* How many of these entries are `entry`. */
size_t page_map_count(size_t first, size_t units, uint32_t entry);
