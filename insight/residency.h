/*
 * residency.h - which pages of the target are in memory.
 *
 * Of a living process the kernel says it: by PAGEMAP_SCAN (Linux 6.7), which tells the shared page of zeros apart, or
 * by /proc/PID/pagemap. Of a core, the pages that it has bytes for: they were in memory or swapped out, and nobody
 * knows which.
 */
#ifndef MEMS_INSIGHT_RESIDENCY_H
#define MEMS_INSIGHT_RESIDENCY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "target.h"

enum page_state {
    PAGE_ABSENT = 0,
    PAGE_PRESENT = 1,
    PAGE_SWAPPED = 2,
    PAGE_ZERO = 4, /* the kernel's page of zeros, which smaps does not count */
    PAGE_IN_HUGE = 8
};

/* A reader of ascending addresses. */
struct residency {
    struct target *target;
    struct page_run *runs; /* ascending; what lies in none is absent */
    size_t count;
    size_t at;
    uint64_t read_from; /* the runs tell all of read_from .. read_to */
    uint64_t read_to;
    uint64_t limit;
    bool known; /* false: nothing tells which pages are in memory */
    bool zeros; /* zero pages are told apart */
};

/* For the pages of start .. end. */
void residency_start(struct residency *residency, struct target *target, uint64_t start, uint64_t end);
void residency_end(struct residency *residency);

/* The state of a page, by its address; no lower one than that of the call before. */
unsigned residency_of(struct residency *residency, uint64_t page);

/* The first page from `page` on, and before `end`, that is not absent; `end` when there is none. Cheap where there is
 * nothing. */
uint64_t residency_next(struct residency *residency, uint64_t page, uint64_t end);

/* Whether smaps counts the page: it is present, and not that of zeros. */
static inline bool page_counts(unsigned state) {
    return (state & (PAGE_PRESENT | PAGE_ZERO)) == PAGE_PRESENT;
}

#endif
