/* harden_guards.h - memory between blocks that faults when touched, with harden=light and full. Linux can mark pages
 * for this (MADV_GUARD_INSTALL, since 6.13) without further mappings. With older kernels pages are protected, which
 * splits mappings (guard_limits.h). There are no guards if both are refused, or the system's pages are larger than
 * OS_PAGE. A guarded page has no memory. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GUARD_CLOSED_LEAST ((size_t)2 << 20)

enum guard_means { GUARDS_NONE, GUARDS_BY_PROTECTION, GUARDS_BY_MARKS };

/* `means` is set at the start; the rest is for statistics and the bound on protected guards (relaxed). */
struct guards {
    uint32_t means;           /* enum guard_means */
    _Atomic uint32_t set;     /* existing guards */
    _Atomic uint32_t refused; /* guards that could not be set */
};

extern struct guards guards;

/* Finds out by trial how pages can be guarded. Part of the engine's start. */
void guards_start(void);

/* Makes pages fault when touched; false if that is impossible: then they are accessible, but may read as zero, because
 * a part may have been freed. */
bool guard_set(void *start, size_t size);

/* Ends that: the pages then read as zero. False if the system refuses: then they must not be used again. */
bool guard_clear(void *start, size_t size);

/* Moves the beginning of a guard by `size` bytes, later or earlier. `start`: the first page that changes. False if the
 * system refuses: then those pages are as accessible as they were. */
bool guard_shorten(void *start, size_t size);
bool guard_lengthen(void *start, size_t size);

/* The same for all of a freed block, in which there are no guards. From GUARD_CLOSED_LEAST on, it is protected, because
 * marks take time for each page, even for those that the block's user never touched. How much freed memory is kept
 * bounds the number of such mappings (hardened_larges.h). */
bool guard_set_freed(void *start, size_t size);
bool guard_clear_freed(void *start, size_t size);

/* The size of a guard behind a separate block: a page, or 0 if there are no guards. */
size_t guard_size(void);

/* Sets the guards of a new slab of a class: behind its last slot, behind each slot of some classes, and over the whole
 * slab in the class for zero-size blocks. Returns how many. */
unsigned guard_slab(void *start, unsigned size_class);

/* Clears them; false as for guard_clear. */
bool guard_clear_slab(void *start, unsigned size_class, unsigned count);
