/*
 * huge_pages.h - transparent huge pages for the memory by which a heap grows (option huge_pages=growth).
 *
 * While a fresh free span covers the whole aligned range of a huge page, nobody has touched that range, so its first
 * touch can make all of it present: one page fault instead of 512. So once the heap is large enough, a huge page of
 * which units are taken is *populated*: advised (MADV_HUGEPAGE), touched, and advised against (MADV_NOHUGEPAGE). The
 * last call does not change the page that is there; but without it the kernel would later fill up huge pages of which
 * parts have been purged, and a mapping would end where advised memory meets other memory.
 *
 * Blocks of more than HUGE_PAGE_BLOCK_UNITS populate none: programs often use only a part of them, and realloc moves
 * pages into them. Neither does a claimed window, which is limited or locked. If the system refuses, or has no huge
 * page to spare, memory becomes present page by page as usual.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "spans.h"

#define HUGE_PAGE_UNITS ((size_t)32)
#define HUGE_PAGE_BLOCK_UNITS (HUGE_PAGE_UNITS / 2)

/* A heap with this many live units is large enough: a huge page that is hardly used is then 3 % of it. */
#define HUGE_PAGE_LIVE_UNITS (32 * HUGE_PAGE_UNITS)

extern _Atomic bool huge_pages_enabled; /* relaxed */

void huge_pages_enable(bool enable);

/* The functions below are called only while this is true. */
static inline bool huge_pages_are_on(void) {
    return atomic_load_explicit(&huge_pages_enabled, memory_order_relaxed);
}

/* Where the window's top should end that must reach `end`: at the end of a huge page, if they are to be populated.
 * Under the spans' lock. */
size_t huge_pages_top(size_t end);

/* The range of huge pages, possibly empty, to be populated for units that are about to be taken from a free span. Under
 * the spans' lock. */
struct span huge_pages_due(const struct free_span *free, size_t first, size_t units);

/* Populates them, for the thread that has taken the units from `first` on. Not under the lock. */
void huge_pages_populate(struct span due, size_t first);

/* Whether any were due since the last call: then fresh free units may be present. Under the spans' lock. */
bool huge_pages_were_due(void);

/* The bytes populated so far. */
size_t huge_pages_populated(void);
