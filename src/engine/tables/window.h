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
 * Tables and units are two reservations. Guards are never accessible and at least WINDOW_GUARD long; the one before
 * each table is longer by a random number of units. So a write that runs off a block reaches no table, and the address
 * of one table does not reveal the next.
 *
 * Each part is an *area*: an address range with an accessible prefix, lengthened in steps, so the kernel charges (and
 * mlockall pins) only what is used.
 *
 * Where address space or writable memory is limited, nothing is reserved: areas are claimed piece by piece at addresses
 * that were free at the start, guards are left unmapped, and free units can be unmapped again. This is so if a limit is
 * found at the start (RLIMIT_AS, RLIMIT_DATA, vm.overcommit_memory=2), and after window_confine.
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

/* Threads beyond that many heaps allocate from shared slabs. */
#define HEAPS_MAX ((size_t)1 << 18)

/* Two bits a granule. */
#define LIVE_MAP_BYTES (UNIT / GRANULE / 8 * 2)

/* Slot records (slot_record.h): 16 bits a granule. */
#define RECORDS_BYTES (UNIT / GRANULE * 2)

struct area {
    uintptr_t start;
    size_t size;          /* the most it may have */
    size_t accessible;    /* bytes of the usable prefix; written under the lock of the area's owner */
    _Atomic bool claimed; /* the rest is not even reserved; same lock (relaxed) */
};

/* Constant after the start, except `granules` (under the spans' lock) and the areas. Read without a lock (relaxed:
 * whoever holds a pointer learned it after the window grew). */
struct window {
    uintptr_t base;                /* of unit 0, a multiple of UNIT */
    _Atomic size_t granules;       /* of the accessible units */
    _Atomic uint32_t *page_map;    /* one entry a unit (page_map.h) */
    _Atomic uint32_t *inbox_links; /* one a unit (remote.h) */
    struct live_word *live_map;    /* one word for 64 granules (live_map.h) */
    _Atomic uint16_t *records;     /* RECORDS_BYTES a unit (slot_record.h), or NULL */
    struct span **spans;           /* descriptor of a unit's span; for a free span only at its first and last unit */
    _Atomic(struct heap *) *heaps; /* by id */
    uintptr_t tables_start;        /* the range of all tables with their guards */
    size_t tables_size;
    uintptr_t guarded_start; /* the range of the units with their guards, if reserved */
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

/* Finds address space for `size` bytes (0: as the machine allows), or as much as is available, with or without records.
 * 0 or ENOMEM. */
int window_start(size_t size, bool records);

/* Gives up address space that is reserved, and what tables do not use of theirs: given are the bytes in use of the
 * tables that other files fill. From now on it is claimed piece by piece. Before the start: nothing will be reserved.
 * Under the locks of the heaps' table, the spans and the metadata. */
void window_confine(size_t heaps, size_t metadata);

/* Makes the first `bytes` of an area accessible, and a little more, in steps of `step`, a power of two from the page
 * size on. 0, ENOMEM, or EEXIST: another mapping is there. */
int area_reach(struct area *area, size_t bytes, size_t step);

/* The smallest step for a table. */
size_t area_step(const struct area *table);

/* Makes the first units usable, with their tables; results as area_reach. Under the spans' lock. */
int window_reach(size_t units);

/* How many units window_reach tries for when it has to grow. */
size_t window_ahead(size_t units);

/* Skips units that another mapping occupies. 0 or ENOMEM. Under the spans' lock. */
int window_skip(size_t units);

/* Purges units (UNIT_PURGING), and the pages of the live map that describe only them, whose bits are all clear. False
 * if the system refused. */
bool window_purge(size_t first, size_t units);

/* os_replace for units; purges the live map as window_purge does. */
int window_renew(size_t first, size_t units, bool *lost);

/* Whether units are claimed. They can then be unmapped, and claimed again: 0, ENOMEM, or EEXIST if another mapping is
 * there now. Unmapped units have no bit set in the live map. */
static inline bool window_is_claimed(void) {
    return atomic_load_explicit(&window.units_area.claimed, memory_order_relaxed);
}
bool window_unmap(size_t first, size_t units);
int window_map(size_t first, size_t units);

/* Shrinks the window to its first units. Those behind are unmapped already; their live map goes too. Heaps that have
 * seen them still find page map entries. Under the spans' lock. */
void window_retreat(size_t units);

/* A pointer's distance from the base in granules; above any granule of the window if it is misaligned (the rotation
 * moves the low bits to the top). */
static inline uint64_t window_granule(const void *pointer) {
    return rotate_right((uintptr_t)pointer - window.base, GRANULE_SHIFT);
}

static inline size_t window_granules(void) {
    return atomic_load_explicit(&window.granules, memory_order_relaxed);
}

static inline bool window_holds(const void *pointer) {
    return ((uintptr_t)pointer - window.base) >> GRANULE_SHIFT < window_granules();
}

/* Whether an address lies in or between the tables. */
static inline bool window_tables_hold(const void *address) {
    return (uintptr_t)address - window.tables_start < window.tables_size;
}

static inline size_t window_unit(const void *pointer) {
    return ((uintptr_t)pointer - window.base) >> UNIT_SHIFT;
}

static inline void *window_address(size_t unit) {
    return (void *)(window.base + (unit << UNIT_SHIFT));
}
