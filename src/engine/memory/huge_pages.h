/*
 * huge_pages.h - transparent huge pages for the memory by which a heap grows (option huge_pages=growth).
 *
 * A *stretch* is the aligned range of addresses of one huge page. While a fresh free span contains all of a stretch,
 * nobody has touched it, so its first touch can make all of it present: one page fault instead of 512. So once the heap
 * is large enough, a stretch of which units are taken is advised (MADV_HUGEPAGE), touched, and advised against
 * (MADV_NOHUGEPAGE). The last call changes nothing for the page that is there; but without it the kernel would later
 * fill up stretches of which parts have been purged, and where a stretch begins that has none, a mapping would end.
 *
 * Larger blocks than STRETCH_BLOCK_UNITS bring no stretch: programs often use only a part of them, and realloc moves
 * pages into them. In a claimed window, which is limited or locked, nothing brings one. If the system refuses, or has
 * no huge page to spare, memory becomes present page by page, as ever.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "spans.h"

#define STRETCH_UNITS ((size_t)32)
#define STRETCH_BLOCK_UNITS (STRETCH_UNITS / 2)

/* Live units from which on a heap counts as large enough. One stretch that is hardly used is then 3 % of it. */
#define STRETCH_LIVE_UNITS (32 * STRETCH_UNITS)

extern _Atomic bool huge_pages_enabled; /* relaxed */

void huge_pages_enable(bool enable);

/* What follows is only for a heap in which this is true. */
static inline bool huge_pages_are_on(void) {
    return atomic_load_explicit(&huge_pages_enabled, memory_order_relaxed);
}

/* Where the window's top should end that must reach `end`: the end of a stretch, if stretches are to be brought. Under
 * the spans' lock. */
size_t huge_pages_top(size_t end);

/* The stretches, or none, to be brought for units that are about to be taken from a free span. Under the spans' lock.
 */
struct span huge_pages_due(const struct free_span *free, size_t first, size_t units);

/* Brings them for whoever has taken the units from `first` on. Not under the lock. */
void huge_pages_bring(struct span due, size_t first);

/* Whether stretches were due since the last call: free units of theirs may be present, although they are fresh. Under
 * the spans' lock. */
bool huge_pages_left(void);

/* The bytes of the stretches brought so far. */
size_t huge_pages_brought(void);
