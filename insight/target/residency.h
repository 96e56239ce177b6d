/* residency.h - which pages of the target are in memory. For a live process, from PAGEMAP_SCAN (Linux 6.7), which
 * distinguishes the shared zero page, or /proc/PID/pagemap. For a core, pages with contents count: they were in memory
 * or swapped out, which cannot be told apart. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "target/target.h"

enum page_state {
    PAGE_ABSENT = 0,
    PAGE_PRESENT = 1,
    PAGE_SWAPPED = 2,
    PAGE_ZERO = 4, /* the kernel's zero page, not counted by smaps */
    PAGE_IN_HUGE = 8,
    PAGE_GUARD = 16,  /* behind a sampled block, inaccessible */
    PAGE_OF_FILE = 32 /* shared with its file or other processes: not the process's own copy */
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
    bool files; /* also finds PAGE_OF_FILE, for which the kernel looks at each page */
    bool known; /* false: nothing tells which pages are in memory */
    bool zeros; /* the kernel distinguishes zero pages */
};

/* Reads the state of all pages of a process at once, and counts the mappings' numbers from it. It then stands for the
 * pages' state, so that all rows sum to the Rss even if the process runs. False if the kernel has no PAGEMAP_SCAN. */
bool residency_measure(struct target *target);

/* For the pages of start .. end. */
void residency_start(struct residency *residency, struct target *target, uint64_t start, uint64_t end);
void residency_end(struct residency *residency);

/* The state of a page by its address, which must not descend from call to call. */
unsigned residency_of(struct residency *residency, uint64_t page);

/* The end of the pages known to share the state of `page`, the last one asked about. */
uint64_t residency_until(const struct residency *residency, uint64_t page);

/* The first page of page .. end that is not absent; `end` if none. Cheap for long absent stretches. */
uint64_t residency_next(struct residency *residency, uint64_t page, uint64_t end);

/* smaps counts present pages except the zero page. */
static inline bool page_counts(unsigned state) {
    return (state & (PAGE_PRESENT | PAGE_ZERO)) == PAGE_PRESENT;
}
