#include "target/residency.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "support/sorted.h"
#include "support/support.h"
#include "target/core.h"

/* Pages read ahead at a time. */
#define AHEAD ((uint64_t)65536)

/* The kernel's interface; this machine's headers may lack it. */
struct scan_region {
    uint64_t start;
    uint64_t end;
    uint64_t categories;
};

struct scan_arguments {
    uint64_t size;
    uint64_t flags;
    uint64_t start;
    uint64_t end;
    uint64_t walk_end;
    uint64_t vec;
    uint64_t vec_len;
    uint64_t max_pages;
    uint64_t category_inverted;
    uint64_t category_mask;
    uint64_t category_anyof_mask;
    uint64_t return_mask;
};

#define PAGEMAP_SCAN_CALL _IOWR('f', 16, struct scan_arguments)
#define SCAN_FILE (1u << 2)
#define SCAN_PRESENT (1u << 3)
#define SCAN_SWAPPED (1u << 4)
#define SCAN_ZERO (1u << 5)
#define SCAN_HUGE (1u << 6)
#define SCAN_GUARD (1u << 8) /* Linux 6.15 */
#define SCAN_REGIONS 4096u

#define PAGEMAP_PRESENT ((uint64_t)1 << 63)
#define PAGEMAP_SWAPPED ((uint64_t)1 << 62)
#define PAGEMAP_FILE ((uint64_t)1 << 61)
#define PAGEMAP_GUARD ((uint64_t)1 << 58)

static void add_run(struct residency *residency, uint64_t start, uint64_t end, unsigned state) {
    residency->runs = grow(residency->runs, residency->count, sizeof *residency->runs);
    residency->runs[residency->count++] = (struct page_run){start, end, state};
    struct record *record = residency->target->record;
    if (record != NULL) {
        record->runs = grow(record->runs, record->run_count, sizeof *record->runs);
        record->runs[record->run_count++] = (struct page_run){start, end, state};
    }
}

/* The kernel stores guards like swap entries, and reports them as swapped too. */
static unsigned state_of(uint64_t categories) {
    if ((categories & SCAN_GUARD) != 0) {
        return PAGE_GUARD;
    }
    return ((categories & SCAN_PRESENT) != 0 ? PAGE_PRESENT : 0u) |
           ((categories & SCAN_SWAPPED) != 0 ? PAGE_SWAPPED : 0u) | ((categories & SCAN_ZERO) != 0 ? PAGE_ZERO : 0u) |
           ((categories & SCAN_HUGE) != 0 ? PAGE_IN_HUGE : 0u) | ((categories & SCAN_FILE) != 0 ? PAGE_OF_FILE : 0u);
}

/* A kernel without guards refuses a question about them. */
static int scan_once(int pagemap, struct scan_arguments *arguments) {
    static bool guards_known = true;
    const uint64_t known = arguments->return_mask;
    if (guards_known) {
        arguments->return_mask |= SCAN_GUARD;
        int count = ioctl(pagemap, PAGEMAP_SCAN_CALL, arguments);
        if (count >= 0 || errno != EINVAL) {
            return count;
        }
        guards_known = false;
        arguments->return_mask = known;
    }
    return ioctl(pagemap, PAGEMAP_SCAN_CALL, arguments);
}

/* False where the kernel has no such call. */
static bool scan(struct residency *residency, uint64_t start, uint64_t end) {
    static struct scan_region regions[SCAN_REGIONS];
    while (start < end) {
        struct scan_arguments arguments = {
            .size = sizeof arguments,
            .start = start,
            .end = end,
            .vec = (uint64_t)(uintptr_t)regions,
            .vec_len = SCAN_REGIONS,
            .category_anyof_mask = SCAN_PRESENT | SCAN_SWAPPED,
            .return_mask = SCAN_PRESENT | SCAN_SWAPPED | SCAN_ZERO | SCAN_HUGE | (residency->files ? SCAN_FILE : 0u),
        };
        int count = scan_once(residency->target->pagemap, &arguments);
        if (count < 0) {
            return false;
        }
        for (int i = 0; i < count; i++) {
            add_run(residency, regions[i].start, regions[i].end, state_of(regions[i].categories));
        }
        /* Not from walk_end on: that may lie before the last region's end, which would be reported again. */
        start = count < (int)SCAN_REGIONS ? end : regions[count - 1].end;
    }
    return true;
}

static unsigned state_of_entry(uint64_t entry) {
    if ((entry & PAGEMAP_GUARD) != 0) {
        return PAGE_GUARD;
    }
    const unsigned state =
        ((entry & PAGEMAP_PRESENT) != 0 ? PAGE_PRESENT : 0u) | ((entry & PAGEMAP_SWAPPED) != 0 ? PAGE_SWAPPED : 0u);
    return state != 0 && (entry & PAGEMAP_FILE) != 0 ? state | PAGE_OF_FILE : state;
}

static bool read_pagemap(struct residency *residency, uint64_t start, uint64_t end) {
    static uint64_t entries[4096];
    const uint64_t page = residency->target->page_size;
    while (start < end) {
        size_t pages = (size_t)smaller((end - start) / page, COUNT_OF(entries));
        ssize_t got = pread(residency->target->pagemap, entries, pages * sizeof *entries,
                            (off_t)(start / page * sizeof *entries));
        if (got <= 0) {
            return false;
        }
        for (size_t i = 0; i < (size_t)got / sizeof *entries; i++, start += page) {
            unsigned state = state_of_entry(entries[i]);
            if (state != 0) {
                add_run(residency, start, start + page, state);
            }
        }
    }
    return true;
}

static void read_core(struct residency *residency, uint64_t start, uint64_t end) {
    while (start < end) {
        uint64_t data_end;
        uint64_t data = core_data_from(residency->target, start, end, &data_end);
        if (data >= end) {
            break;
        }
        add_run(residency, data, data_end, PAGE_PRESENT);
        start = data_end;
    }
}

/* The saved runs are ascending, and disjoint. */
static void read_saved(struct residency *residency, uint64_t start, uint64_t end) {
    const struct target *target = residency->target;
    size_t at = ranges_from(target->pages, target->page_count, sizeof *target->pages, start);
    for (; at < target->page_count && target->pages[at].start < end; at++) {
        add_run(residency, target->pages[at].start, target->pages[at].end, (unsigned)target->pages[at].state);
    }
}

/* Divides the pages among the mappings; both ascend. */
static void count_pages(struct target *target) {
    struct mapping *mapping = target->mappings;
    const struct mapping *end = mapping + target->mapping_count;
    for (size_t i = 0; i < target->page_count; i++) {
        const struct page_run *run = &target->pages[i];
        while (mapping < end && mapping->end <= run->start) {
            mapping++;
        }
        for (struct mapping *at = mapping; at < end && at->start < run->end; at++) {
            const uint64_t bytes = smaller(at->end, run->end) - larger(at->start, run->start);
            const bool counts = page_counts((unsigned)run->state) && !at->uncounted;
            at->rss += counts ? bytes : 0;
            at->huge += counts && (run->state & PAGE_IN_HUGE) != 0 ? bytes : 0;
            at->swap += (run->state & PAGE_SWAPPED) != 0 ? bytes : 0;
        }
    }
}

/* The kernel does not scan its own mapping, which is here. */
#define KERNEL_HALF ((uint64_t)1 << 63)

bool residency_measure(struct target *target) {
    struct residency all = {.target = target};
    size_t last = target->mapping_count;
    while (last != 0 && target->mappings[last - 1].start >= KERNEL_HALF) {
        last--;
    }
    const bool scanned =
        last != 0 && target->pagemap >= 0 && scan(&all, target->mappings[0].start, target->mappings[last - 1].end);
    free(target->pages);
    target->pages = all.runs;
    target->page_count = all.count;
    target->measured = target->has_usage = scanned;
    if (scanned) {
        count_pages(target);
    }
    return scanned;
}

void residency_start(struct residency *residency, struct target *target, uint64_t start, uint64_t end) {
    memset(residency, 0, sizeof *residency);
    residency->target = target;
    residency->read_from = residency->read_to = start & ~(target->page_size - 1);
    residency->limit = end;
    residency->known = target->kind != TARGET_LIVE || target->pagemap >= 0;
    residency->zeros = target->kind != TARGET_CORE;
}

void residency_end(struct residency *residency) {
    free(residency->runs);
}

static void read_ahead(struct residency *residency, uint64_t page) {
    const uint64_t size = residency->target->page_size;
    uint64_t end = page + AHEAD * size;
    end = end < page || end > residency->limit ? (residency->limit + size - 1) & ~(size - 1) : end;
    if (end <= page) {
        end = page + size;
    }
    residency->count = residency->at = 0;
    residency->read_from = page;
    residency->read_to = end;
    if (residency->target->kind != TARGET_LIVE || residency->target->measured) {
        (residency->target->kind == TARGET_CORE ? read_core : read_saved)(residency, page, end);
        return;
    }
    if (residency->zeros && !scan(residency, page, end)) {
        residency->zeros = false;
        residency->count = 0;
    }
    if (!residency->zeros && !read_pagemap(residency, page, end)) {
        residency->known = false;
    }
}

unsigned residency_of(struct residency *residency, uint64_t page) {
    if (page < residency->read_from || page >= residency->read_to) {
        read_ahead(residency, page);
    }
    while (residency->at < residency->count && residency->runs[residency->at].end <= page) {
        residency->at++;
    }
    return residency->at < residency->count && residency->runs[residency->at].start <= page
               ? (unsigned)residency->runs[residency->at].state
               : PAGE_ABSENT;
}

uint64_t residency_until(const struct residency *residency, uint64_t page) {
    if (residency->at == residency->count) {
        return residency->read_to;
    }
    const struct page_run *run = &residency->runs[residency->at];
    return run->start <= page ? run->end : run->start;
}

uint64_t residency_next(struct residency *residency, uint64_t page, uint64_t end) {
    while (page < end && residency_of(residency, page) == PAGE_ABSENT) {
        uint64_t next = residency->at < residency->count ? residency->runs[residency->at].start : residency->read_to;
        page = larger(next, page + residency->target->page_size);
    }
    return smaller(page, end);
}
