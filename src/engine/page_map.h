/*
 * page_map.h - what each unit of the window is: one 32-bit entry a unit.
 *
 *    31                              8 7             0
 *   +---------------------------------+---------------+
 *   |              owner              |  size class   |   a unit of a slab (owner is 1 or more)
 *   +---------------------------------+---------------+
 *   |                0                |     kind      |   anything else
 *   +---------------------------------+---------------+
 *
 * Entries change under the lock of the spans (a span is taken or given back), under a class's orphan lock, or by the
 * slab's owner (ownership passes on). They are read without a lock: whoever frees a block learned its address after the
 * entry was written, and an owner that may have changed since is found out by whoever acts on it (see heap.h). So
 * relaxed order is enough, but for who looks up the heap of an owner that it found: that load is an acquire, and the
 * stores are releases, so that the heap is there.
 */
#ifndef MEMS_ENGINE_PAGE_MAP_H
#define MEMS_ENGINE_PAGE_MAP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum unit_kind {
    UNIT_UNUSED,  /* never part of a span: what a fresh page map reads as */
    UNIT_FRESH,   /* of a free span; reads as zero */
    UNIT_DIRTY,   /* of a free span; holds what its last user left */
    UNIT_PURGING, /* of a span on its way back to the system, in nobody's index */
    UNIT_LARGE,   /* of a large block */
    UNIT_LOST,    /* its address was lost to another mapping; never used again */
    UNIT_KINDS
};

#define OWNER_SHIFT 8u
#define CLASS_MASK 0xffu

/* The owner of slabs that have none: anybody may free into them, under the class's lock. */
#define OWNER_ORPHAN 0xffffffu
/* An owner that no slab ever has: its tag matches no entry. */
#define OWNER_NOBODY 0xfffffeu

typedef _Atomic uint32_t page_map_entry;

static inline uint32_t page_map_tag(uint32_t owner) {
    return owner << OWNER_SHIFT;
}

static inline bool entry_is_slab(uint32_t entry) {
    return entry >= 1u << OWNER_SHIFT;
}

static inline uint32_t entry_owner(uint32_t entry) {
    return entry >> OWNER_SHIFT;
}

static inline unsigned entry_class(uint32_t entry) {
    return entry & CLASS_MASK;
}

static inline bool entry_is_free(uint32_t entry) {
    return entry == UNIT_FRESH || entry == UNIT_DIRTY;
}

#endif
