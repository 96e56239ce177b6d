/*
 * window.h - the engine's address space, reserved once, and the tables that describe it.
 *
 *   the tables, at an address chosen at random (## is a guard):
 *     ##| page map |##|  spans  |##|  heaps  |##| inbox links |##| live map  |##| records |##| metadata |##
 *         4 bytes       8 bytes      8 bytes      4 bytes          1 KiB          8 KiB        1/32
 *         a unit        a unit       a heap       a unit           a unit         a unit       of the units
 *     (records with harden=full alone)
 *   the units, where the kernel puts them:
 *     ##| unit 0 | unit 1 | ...           |##
 *         64 KiB   64 KiB
 *
 * Tables and units are two reservations. A guard is never accessible and at least WINDOW_GUARD long; the one before
 * each table is longer by a random number of units. So a write that runs off a block does not reach a table, and the
 * address of one table does not reveal that of the next.
 *
 * Each part is an *area*: a range of addresses of which a prefix is accessible, lengthened in steps, so the kernel
 * charges (and mlockall pins) only what is used.
 *
 * Where address space or writable memory is limited, nothing is reserved: the areas are claimed piece by piece at
 * addresses that were free at the start, the guards are left unmapped, and free units can be unmapped again. This is so
 * if a limit is found at the start (RLIMIT_AS, RLIMIT_DATA, vm.overcommit_memory=2), and after window_confine.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bits.h"
#include "base/compiler.h"
#include "size_class.h"

struct span;
struct heap;
struct live_word;

#define WINDOW_GUARD ((size_t)1 << 20)

/* The smallest and the largest window. */
#define WINDOW_MIN ((size_t)4 << 20)
#define WINDOW_MAX ((size_t)64 << 40)

/* At most this many heaps at once; threads beyond that allocate from shared slabs. */
#define HEAPS_MAX ((size_t)1 << 18)

/* The live map's bytes for a unit: two bits a granule. */
#define LIVE_MAP_BYTES (UNIT / GRANULE / 8 * 2)

/* The slot records' bytes (slot_record.h) for a unit: 16 bits a granule. */
#define RECORDS_BYTES (UNIT / GRANULE * 2)

struct area {
    uintptr_t start;
    size_t size;          /* the most it may have */
    size_t accessible;    /* bytes of the usable prefix; written under the lock of whoever owns the area */
    _Atomic bool claimed; /* the rest is not even reserved; written under the same lock (relaxed) */
};

/* Written at the start; afterwards only `granules` changes (under the spans' lock) and each area's `accessible` (see
 * there). Everyone reads it without a lock (relaxed: whoever holds a pointer learned it after the window grew). */
struct window {
    uintptr_t base;                /* address of unit 0, a multiple of UNIT */
    _Atomic size_t granules;       /* of the accessible units */
    _Atomic uint32_t *page_map;    /* one entry a unit (page_map.h) */
    _Atomic uint32_t *inbox_links; /* one a unit (remote.h) */
    struct live_word *live_map;    /* one word for 64 granules (live_map.h) */
    _Atomic uint16_t *records;     /* RECORDS_BYTES a unit (slot_record.h); NULL: there are none */
    struct span **spans;           /* descriptor of a unit's span; of a free span, at its first and last unit only */
    _Atomic(struct heap *) *heaps; /* by id */
    uintptr_t tables_start;        /* of the range in which all tables lie, with their guards */
    size_t tables_size;
    uintptr_t guarded_start; /* of the range in which the units lie, with their guards, if it was reserved */
    size_t guarded_size;
    size_t units_reserved;
    struct area page_map_area;
    struct area spans_area;
    struct area heaps_area;
    struct area inbox_links_area;
    struct area live_map_area;
    struct area records_area;
    struct area metadata_area;
    struct area units_area;
};

extern HIDDEN struct window window;

/* Finds address space for a window of `size` bytes (0: as the machine allows), or as much of it as is available, with
 * or without records of its slots. Returns 0 or ENOMEM. Part of the engine's start. */
int window_start(size_t size, bool records);

/* Gives up all address space that is reserved and not accessible; from now on it is claimed piece by piece. Before the
 * start: nothing will be reserved. Under the locks of the heaps' table, the spans and the metadata. */
void window_confine(void);

/* Makes the first `bytes` of an area accessible, and a little more, in steps of `step`, a power of two from UNIT on
 * (a multiple of every page size that Linux has). Returns 0, ENOMEM, or EEXIST where another mapping lies. */
int area_reach(struct area *area, size_t bytes, size_t step);

/* Makes the first units usable, with their tables. 0, ENOMEM, or EEXIST: a mapping is there. Under the spans' lock. */
int window_reach(size_t units);

/* The number of units that window_reach will try for when it has to grow: `units`, or more. */
size_t window_ahead(size_t units);

/* Skips the next `units` units, which another mapping occupies. 0 or ENOMEM. Under the spans' lock. */
int window_skip(size_t units);

/* Gives the memory of units on their way back (UNIT_PURGING) to the system, along with those pages of the live map
 * that describe only them, whose bits are all clear. False when the system refused. */
bool window_purge(size_t first, size_t units);

/* Replaces the memory of units, with the results of os_replace, and purges the live map as window_purge does. */
int window_renew(size_t first, size_t units, bool *lost);

/* Whether units that are claimed can be unmapped, and claimed again when they are needed: 0, ENOMEM, or EEXIST where
 * another mapping lies there now. Units that are unmapped have no bit set in the live map. */
static inline bool window_is_claimed(void) {
    return atomic_load_explicit(&window.units_area.claimed, memory_order_relaxed);
}
bool window_unmap(size_t first, size_t units);
int window_map(size_t first, size_t units);

/* Shrinks the window to its first `units` units: those behind are unmapped already, and their live map goes too. Heaps
 * that have seen them still find page map entries. Under the spans' lock. */
void window_retreat(size_t units);

/* The granule of a pointer: its distance from the base in granules, or a number above any granule of the window when
 * the pointer is not aligned to one (the rotation moves the low bits to the top). */
static inline uint64_t window_granule(const void *pointer) {
    return rotate_right((uintptr_t)pointer - window.base, GRANULE_SHIFT);
}

static inline size_t window_granules(void) {
    return atomic_load_explicit(&window.granules, memory_order_relaxed);
}

static inline bool window_holds(const void *pointer) {
    return ((uintptr_t)pointer - window.base) >> GRANULE_SHIFT < window_granules();
}

/* Whether an address lies in a table, or between tables. */
static inline bool window_tables_hold(const void *address) {
    return (uintptr_t)address - window.tables_start < window.tables_size;
}

static inline size_t window_unit(const void *pointer) {
    return ((uintptr_t)pointer - window.base) >> UNIT_SHIFT;
}

static inline void *window_address(size_t unit) {
    return (void *)(window.base + (unit << UNIT_SHIFT));
}
