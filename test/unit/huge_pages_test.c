/*
 * huge_pages_test.c - which huge pages a growing heap populates, and that nothing else changes: by the system calls,
 * and by what the kernel says. Spans have the descriptors of large blocks, so that engine_valid() sees an engine at
 * work.
 */
#include "support/fresh.h"

#include <sys/mman.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "engine/memory/huge_pages.h"
#include "engine/memory/large.h"
#include "engine/memory/span.h"
#include "engine/root/root.h"
#include "os/os.h"
#include "support/engine_heap.h"

#define GROWTH "decay_ms=4294967295,huge_pages=growth"
#define HUGE_PAGE (HUGE_PAGE_UNITS * UNIT)

static size_t take(size_t units) {
    struct large *large = calloc(1, sizeof *large);
    bool zero;
    CHECK(large != NULL && span_take(&large->span, units, 1, UNIT_PART, &zero));
    CHECK(zero);
    return large->span.first;
}

/* As many live units as a heap needs before it populates huge pages, less some, in one span. */
static void take_most(size_t less) {
    CHECK(root_start());
    os_purge_zeroes(); /* its trial is over */
    if (os_page_size() != OS_PAGE) {
        child_cannot();
    }
    take(HUGE_PAGE_LIVE_UNITS - less);
    CHECK_EQUAL(huge_pages_populated(), 0);
}

static bool starts_huge_page(size_t unit) {
    return (uintptr_t)window_address(unit) % HUGE_PAGE == 0;
}

/* Takes units one by one up to the next that starts a huge page, and that one too. */
static size_t take_to_huge_page(void) {
    size_t unit = take(1);
    while (!starts_huge_page(unit)) {
        CHECK_EQUAL(take(1), unit + 1);
        unit++;
    }
    return unit;
}

static void each_huge_page_is_populated_by_its_first_unit(void) {
    take_most(0);
    take_to_huge_page();
    const size_t before = huge_pages_populated();
    const uint64_t calls = os_inject_calls(OS_CALL_MADVISE);
    for (size_t i = 1; i <= 4 * HUGE_PAGE_UNITS; i++) {
        const size_t unit = take(1);
        CHECK_EQUAL(starts_huge_page(unit), i % HUGE_PAGE_UNITS == 0);
        CHECK_EQUAL(huge_pages_populated() - before, i / HUGE_PAGE_UNITS * HUGE_PAGE);
        CHECK_EQUAL(*(uint64_t *)window_address(unit), 0);
    }
    /* Two for each huge page; the others are for cores, as the window grows. */
    CHECK(os_inject_calls(OS_CALL_MADVISE) - calls >= 8);
    struct mems_engine_stats stats;
    engine_stats(&stats);
    CHECK_EQUAL(stats.huge_page_bytes, huge_pages_populated());
    CHECK_VALID();
}

/* A span over the start of a huge page populates that one, but not the one before, of which others have units. */
static void a_huge_page_is_populated_if_all_of_it_was_free(void) {
    take_most(0);
    const size_t start = take_to_huge_page();
    const size_t before = huge_pages_populated();
    take(HUGE_PAGE_UNITS - 8);
    CHECK_EQUAL(huge_pages_populated(), before);
    CHECK_EQUAL(take(12), start + HUGE_PAGE_UNITS - 7);
    CHECK_EQUAL(huge_pages_populated(), before + HUGE_PAGE);
    CHECK_VALID();
}

static void a_small_heap_populates_none(void) {
    take_most(2 * HUGE_PAGE_UNITS);
    for (size_t i = 0; i < 2 * HUGE_PAGE_UNITS; i++) {
        take(1);
    }
    CHECK_EQUAL(huge_pages_populated(), 0);
    take_to_huge_page();
    CHECK(huge_pages_populated() != 0);
}

static void long_blocks_populate_none(void) {
    take_most(0);
    for (size_t i = 0; i < 8; i++) {
        take(HUGE_PAGE_BLOCK_UNITS + 1);
    }
    CHECK_EQUAL(huge_pages_populated(), 0);
    for (size_t i = 0; i < 8; i++) {
        take(HUGE_PAGE_BLOCK_UNITS);
    }
    CHECK(huge_pages_populated() != 0);
}

static void switched_off_there_are_none(void) {
    take_most(0);
    const uint64_t calls = os_inject_calls(OS_CALL_MADVISE);
    const size_t accessible = window.units_area.accessible;
    const size_t units = (accessible >> UNIT_SHIFT) - spans.top;
    for (size_t i = 0; i < units; i++) {
        take(1);
    }
    CHECK_EQUAL(window.units_area.accessible, accessible);
    CHECK_EQUAL(os_inject_calls(OS_CALL_MADVISE), calls);
    CHECK_EQUAL(huge_pages_populated(), 0);
}

static void a_refusal_changes_nothing(void) {
    take_most(0);
    os_inject(OS_CALL_MADVISE, 0, UINT64_MAX, EINVAL);
    for (size_t i = 0; i < 3 * HUGE_PAGE_UNITS; i++) {
        *(uint64_t *)window_address(take(1)) = i;
    }
    os_inject_clear();
    CHECK_EQUAL(huge_pages_populated(), 0);
    CHECK_VALID();
}

static void a_confined_window_has_none(void) {
    take_most(0);
    engine_confine();
    CHECK(window_is_claimed());
    for (size_t i = 0; i < 3 * HUGE_PAGE_UNITS; i++) {
        take(1);
    }
    CHECK_EQUAL(huge_pages_populated(), 0);
    CHECK_VALID();
}

/* The window may end within a huge page. */
static void the_last_units_of_the_window_are_used(void) {
    take_most(0);
    while (spans.top + spans.free_units < window.units_reserved || spans.free_units != 0) {
        take(1);
    }
    struct large large = {0};
    bool zero;
    CHECK(!span_take(&large.span, 1, 1, UNIT_PART, &zero));
    CHECK_EQUAL(spans.live_units, window.units_reserved);
    CHECK_VALID();
}

/* What nobody has taken of a huge page is fresh, and present. */
static void a_trim_gives_the_rest_of_a_huge_page_back(void) {
    take_most(0);
    if (!os_purge_zeroes()) {
        child_cannot();
    }
    take_to_huge_page();
    CHECK_EQUAL(span_purge_all(), HUGE_PAGE - UNIT);
    CHECK_EQUAL(span_purge_all(), 0);
    CHECK_EQUAL(spans.dirty_units, 0);
    CHECK_VALID();
    take(1);
    CHECK_EQUAL(span_purge_all(), 0);
}

/* The bytes in huge pages, of the mappings that meet a range of addresses. */
static size_t huge_bytes(uintptr_t start, size_t size) {
    uintptr_t first, end;
    size_t kib, sum = 0;
    bool meets = false;
    char line[512];
    FILE *file = fopen("/proc/self/smaps", "r");
    CHECK(file != NULL);
    while (fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " ", &first, &end) == 2) {
            meets = first < start + size && end > start;
        } else if (meets && sscanf(line, "AnonHugePages: %zu kB", &kib) == 1) {
            sum += kib * KIB;
        }
    }
    fclose(file);
    return sum;
}

/* How often the machine had no huge page to spare. */
static uint64_t fallbacks(void) {
    uint64_t count = 0;
    char line[128];
    FILE *file = fopen("/proc/vmstat", "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, "thp_fault_fallback %" SCNu64, &count) == 1) {
            break;
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    return count;
}

/* Whether the kernel gives this process huge pages where it advises them. */
static bool kernel_has_huge_pages(void) {
    void *start;
    CHECK_EQUAL(os_map(HUGE_PAGE, HUGE_PAGE, &start), 0);
    (void)os_huge_pages(start, HUGE_PAGE, true);
    *(volatile char *)start = 1;
    const bool has = huge_bytes((uintptr_t)start, HUGE_PAGE) == HUGE_PAGE;
    CHECK_EQUAL(os_unmap(start, HUGE_PAGE), 0);
    return has;
}

static void the_kernel_shows_them(void) {
    const uint64_t before = fallbacks();
    const bool has = kernel_has_huge_pages();
    take_most(0);
    take_to_huge_page();
    for (size_t i = 0; i < 3 * HUGE_PAGE_UNITS; i++) {
        take(1);
    }
    const size_t bytes = huge_bytes(window.base, window.units_area.accessible);
    if (has && fallbacks() == before) {
        CHECK_EQUAL(bytes, huge_pages_populated());
    } else {
        CHECK_AT_MOST(bytes, huge_pages_populated());
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        FRESH_WITH(each_huge_page_is_populated_by_its_first_unit, GROWTH),
        FRESH_WITH(a_huge_page_is_populated_if_all_of_it_was_free, GROWTH),
        FRESH_WITH(a_small_heap_populates_none, GROWTH),
        FRESH_WITH(long_blocks_populate_none, GROWTH),
        FRESH_WITH(switched_off_there_are_none, "huge_pages=off"),
        FRESH_WITH(a_refusal_changes_nothing, GROWTH),
        FRESH_WITH(a_confined_window_has_none, GROWTH),
        FRESH_WITH(the_last_units_of_the_window_are_used, GROWTH ",window=72m"),
        FRESH_WITH(a_trim_gives_the_rest_of_a_huge_page_back, GROWTH),
        FRESH_WITH(the_kernel_shows_them, GROWTH),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
