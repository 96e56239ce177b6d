/*
 * account.h - what each resident page is used for: rows that sum to the kernel's count.
 *
 * A heap's resident pages are divided among rows by contents; the rest of a mapping's Rss goes to a row for its kind,
 * so the rows sum to the Rss in smaps. While the target runs, changes between the readings have a row, too.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "target/target.h"
#include "walk/engine.h"
#include "walk/layout.h"

enum account_row {
    ROW_LIVE,
    ROW_SLACK,
    ROW_CACHED,
    ROW_REMOTE,
    ROW_FREE_BESIDE,
    ROW_FREE_PAGES,
    ROW_SAMPLES,
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

/* The memory of an arena. */
struct arena_account {
    uint64_t heap; /* id */
    char name[64];
    uint64_t blocks; /* live */
    uint64_t bytes;  /* of these */
    uint64_t held;   /* of its slabs and large blocks */
};

struct account {
    struct target *target;
    struct row rows[ROWS];
    uint64_t rss; /* over all mappings */
    uint64_t swap;
    uint64_t zero_pages; /* bytes of the heaps that are the kernel's zero page, which is not in rss */
    uint64_t huge_pages; /* bytes in transparent huge pages, of all mappings */
    uint64_t shared;     /* bytes of rss that others map, too */
    /* The most by which live slots exceed the requested sizes, each of which is more than the next smaller class.
     * Aligned blocks may have larger slots. */
    uint64_t rounding_most;
    bool resident_known;
    bool zeros_known;
    uint64_t torn; /* slabs that changed while they were read */
    struct class_account classes[CLASSES_MAX];
    uint64_t large_blocks;
    uint64_t large_bytes;
    uint64_t huge_blocks;
    uint64_t huge_bytes;
    struct arena_account *arenas; /* ascending by heap */
    size_t arena_count;
    const char *spaces_trouble; /* why the MeMS heap could not be counted completely, or NULL */
    const char *hmm_trouble;    /* the same of HMM, */
    uint64_t hmm_where;         /* and where */
    int64_t *left;              /* of each mapping's Rss: what is in no row yet */
    size_t at;                  /* the mapping that was looked up last */
};

/* Counts the whole target, by its roots `layouts`. `engine` is NULL, or open. A process's mappings have been read with
 * their numbers just before (target_read_mappings or target_update_mappings). */
void account_take(struct account *account, struct target *target, struct layouts *layouts, struct engine *engine);
void account_free(struct account *account);

/* The library's file, and the anonymous mapping right behind, the rest of its data. A program that contains the library
 * is a file like any other. */
bool account_is_library(const struct target *target, const struct layouts *layouts, const struct mapping *mapping);

/* --- Shared by the files of this room
 * ------------------------------------------------------------------------------------- */

/* Assigns bytes of a resident page to a row. */
void account_page(struct account *account, enum account_row row, uint64_t page, uint64_t bytes);

struct residency;

/* The bytes of start .. end, and those of its resident pages; in ascending order, for residency_of. */
void account_part(struct account *account, struct residency *residency, enum account_row row, uint64_t start,
                  uint64_t end);

/* Its bytes, and those of its resident pages. Pages shared with another range count in proportion. */
void account_range(struct account *account, enum account_row row, uint64_t start, uint64_t end);

/* The bytes of start .. end on a page. */
uint64_t account_overlap(uint64_t start, uint64_t end, uint64_t page, uint64_t page_size);

/* Whether to divide the page among rows; counts it if it is swapped out or the zero page. */
bool account_page_taken(struct account *account, enum account_row row, unsigned state, uint64_t bytes);

/* engine: NULL if there is none. */
void account_engine(struct account *account, struct engine *engine);
void account_hmm(struct account *account, struct layouts *layouts, const struct engine *engine);
