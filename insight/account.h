/*
 * account.h - whose every resident page is: rows that sum to what the kernel counts.
 *
 * Each page of the heaps that is in memory is divided among rows by what lies on it; what is left of a mapping's Rss is
 * one row more, by the mapping's kind. So over all rows and mappings the sum is that of smaps; while the target runs,
 * what has changed between the readings has a row, too.
 */
#ifndef MEMS_INSIGHT_ACCOUNT_H
#define MEMS_INSIGHT_ACCOUNT_H

#include <stdbool.h>
#include <stdint.h>

#include "engine.h"
#include "layout.h"
#include "target.h"

enum account_row {
    ROW_LIVE,
    ROW_SLACK,
    ROW_CACHED,
    ROW_REMOTE,
    ROW_FREE_BESIDE,
    ROW_FREE_PAGES,
    ROW_DIRTY,
    ROW_FRESH,
    ROW_HUGE,
    ROW_TABLES,
    ROW_DESCRIPTORS,
    ROW_SPACES_LIVE,
    ROW_SPACES_HOLES,
    ROW_SPACES_NODES,
    ROW_HMM_LIVE,
    ROW_HMM_CACHED,
    ROW_HMM_FREE,
    ROW_HMM_OVERHEAD,
    ROW_LIBRARY,
    ROW_FILES,
    ROW_STACKS,
    ROW_BREAK,
    ROW_SHARED,
    ROW_ANONYMOUS,
    ROW_KERNEL,
    ROW_CHANGED,
    ROWS
};

struct row_text {
    const char *name;
    const char *what;
    const char *goes; /* when it goes */
};

extern const struct row_text row_texts[ROWS];

struct row {
    int64_t resident; /* bytes; below 0 only for ROW_CHANGED */
    uint64_t bytes;   /* in memory or not */
    uint64_t swapped;
};

struct class_account {
    uint64_t slabs;
    uint64_t slots[STATES];
    uint64_t resident;
    uint64_t youngest_s, oldest_s; /* birth */
};

struct account {
    struct target *target;
    struct row rows[ROWS];
    uint64_t rss; /* over all mappings */
    uint64_t swap;
    uint64_t zero_pages; /* bytes of the heaps that are the kernel's page of zeros: not in rss */
    uint64_t huge_pages; /* bytes in transparent huge pages, of all mappings */
    uint64_t shared;     /* bytes of rss that others map, too */
    bool resident_known;
    bool zeros_known;
    uint64_t torn; /* slabs that changed while they were read */
    struct class_account classes[CLASSES_MAX];
    uint64_t refills[CLASSES_MAX]; /* of magazines, by class, over all heaps */
    uint64_t flushes[CLASSES_MAX];
    uint64_t large_blocks;
    uint64_t large_bytes;
    uint64_t huge_blocks;
    uint64_t huge_bytes;
    const char *spaces_trouble; /* why the MeMS heap could not be counted to its end; NULL: it was */
    const char *hmm_trouble;    /* the same of HMM, */
    uint64_t hmm_where;         /* and where */
    int64_t *left;              /* of each mapping's Rss, what no row has yet */
    size_t at;                  /* the mapping that was looked up last */
};

/* Counts all of the target, whichever heaps it has: `layouts` are its roots. `engine` is NULL, or open. */
void account_take(struct account *account, struct target *target, struct layouts *layouts, struct engine *engine);
void account_free(struct account *account);

/* --- For the heaps' own rooms ------------------------------------------------------------------------------------- */

/* Bytes of a resident page become a row's. */
void account_page(struct account *account, enum account_row row, uint64_t page, uint64_t bytes);

struct residency;

/* The bytes of start .. end, and those of its pages that are resident; in ascending order, as residency_of is asked. */
void account_part(struct account *account, struct residency *residency, enum account_row row, uint64_t start,
                  uint64_t end);

/* All of start .. end is a row's: its bytes, and those of its pages that are resident. What lies on pages that the
 * range shares with another one counts by its bytes. */
void account_range(struct account *account, enum account_row row, uint64_t start, uint64_t end);

#endif
