/* image.h - a copy of a target's memory at one moment: those pages of some ranges that were in memory or swapped out.
 * Pages are consecutive in an arena; each range has a table of their places. The arena is prefaulted before the target
 * is stopped, so the copying, which is most of the pause, takes no page faults. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct target;

struct image_range {
    uint64_t start;
    uint64_t end;
    uint32_t *places; /* by page: its number in the arena, from 1; 0: not in memory */
};

/* Adjacent pages, copied at once. */
struct image_run {
    uint64_t start;
    uint64_t pages;
    uint32_t *places;
};

struct image {
    struct image_range *ranges; /* ascending and disjoint */
    size_t count;
    struct image_run *runs; /* to be copied */
    size_t run_count;
    uint64_t page_size;
    unsigned page_shift;
    char *arena;
    size_t pages; /* in the arena */
    size_t room;  /* pages that it has address space for */
};

/* Makes room for about `pages` pages; ends the program with a clear line if memory does not suffice. */
void image_prepare(struct image *image, uint64_t page_size, uint64_t pages);

/* Adds the pages of start .. end that are in memory, behind those of the previous call. image_copy copies them all. */
void image_add(struct image *image, struct target *target, uint64_t start, uint64_t end);
void image_copy(struct image *image, struct target *target);

void image_free(struct image *image);

/* The range that holds an address, or the next one, or NULL. */
const struct image_range *image_range_from(const struct image *image, uint64_t address);

/* Whether start .. start + size lies in one range. */
bool image_has(const struct image *image, uint64_t start, size_t size);

/* Pages that were not in memory read as zeros. */
void image_read(const struct image *image, uint64_t address, void *to, size_t size);

/* The page of an address of the range; NULL: not in memory. */
static inline const char *image_page(const struct image *image, const struct image_range *range, uint64_t address) {
    uint32_t place = range->places[(address - range->start) >> image->page_shift];
    return place != 0 ? image->arena + ((uint64_t)(place - 1) << image->page_shift) : NULL;
}

/* How many pages are in memory or swapped out. */
uint64_t image_resident(struct target *target, uint64_t start, uint64_t end);
