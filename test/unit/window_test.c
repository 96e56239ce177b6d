/*
 * window_test.c - the arithmetic of addresses, the page map, and a window that grows to its end, reserved or claimed.
 */
#include "support/fresh.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "engine/root.h"
#include "engine/window.h"
#include "os/os.h"
#include "support/engine_heap.h"

#define GRANULES_PER_UNIT (UNIT / GRANULE)

static void *address(uintptr_t value) {
    return (void *)value;
}

static void granules_count_from_the_base(void) {
    CHECK(root_start());
    CHECK_EQUAL(window_reach(40), 0);
    size_t bytes = window.units_area.accessible;
    CHECK_EQUAL(window.base % UNIT, 0);
    CHECK_EQUAL(window_granules(), bytes / GRANULE);
    for (int step = 0; step < 100000; step++) {
        size_t offset = random_below(&fresh_random, bytes);
        const void *pointer = address(window.base + offset);
        size_t aligned = round_down(offset, GRANULE);
        CHECK_EQUAL(window_granule(address(window.base + aligned)), aligned / GRANULE);
        CHECK(aligned == offset || window_granule(pointer) >= window.units_reserved * GRANULES_PER_UNIT);
        CHECK(window_holds(pointer));
        CHECK_EQUAL(window_unit(pointer), offset / UNIT);
        CHECK_EQUAL((uintptr_t)window_address(offset / UNIT), round_down((uintptr_t)pointer, UNIT));
    }
}

static void what_lies_outside_is_beyond_every_granule(void) {
    CHECK(root_start());
    CHECK_EQUAL(window_reach(1), 0);
    uintptr_t end = window.base + window.units_area.accessible;
    const uintptr_t outside[] = {0,
                                 1,
                                 16,
                                 window.base - 1,
                                 window.base - 16,
                                 window.page_map_area.start,
                                 end,
                                 end + 1,
                                 end + 8,
                                 window.base + (UINT64_C(1) << 46),
                                 UINTPTR_MAX,
                                 UINTPTR_MAX - 15};
    for (size_t i = 0; i < sizeof outside / sizeof *outside; i++) {
        CHECK(window_granule(address(outside[i])) >= window_granules());
        CHECK(!window_holds(address(outside[i])));
    }
}

static void the_page_map_tells_units_apart(void) {
    enum { UNITS = 64 };
    uint32_t model[UNITS] = {0};
    CHECK(root_start());
    CHECK_EQUAL(window_reach(UNITS), 0);
    const uint32_t owners[] = {1, 2, 0xffff, OWNER_NOBODY, OWNER_ORPHAN};
    for (int step = 0; step < 10000; step++) {
        uint32_t entry = (uint32_t)random_below(&fresh_random, UNIT_KINDS);
        if (random_below(&fresh_random, 2)) {
            uint32_t owner = owners[random_below(&fresh_random, 5)];
            unsigned size_class = (unsigned)random_below(&fresh_random, SIZE_CLASSES);
            entry = page_map_tag(owner) | size_class;
            CHECK(entry_is_slab(entry) && !entry_is_free(entry));
            CHECK_EQUAL(entry_owner(entry), owner);
            CHECK_EQUAL(entry_class(entry), size_class);
        } else {
            CHECK(!entry_is_slab(entry));
            CHECK_EQUAL(entry_is_free(entry), entry == UNIT_FRESH || entry == UNIT_DIRTY);
        }
        size_t first = random_below(&fresh_random, UNITS);
        size_t units = random_below(&fresh_random, UNITS - first + 1);
        page_map_fill(first, units, entry);
        for (size_t unit = first; unit < first + units; unit++) {
            model[unit] = entry;
        }
        size_t count = 0;
        for (size_t unit = 0; unit < UNITS; unit++) {
            CHECK_EQUAL(page_map_load(unit), model[unit]);
            count += model[unit] == entry;
        }
        CHECK_EQUAL(page_map_count(0, UNITS, entry), count);
    }
}

static void the_live_map_has_one_bit_for_each_granule(void) {
    CHECK(root_start());
    CHECK_EQUAL(window_reach(2), 0);
    for (size_t granule = 0; granule < 2 * GRANULES_PER_UNIT; granule++) {
        const void *block = address(window.base + granule * GRANULE);
        CHECK(!live_test(block));
        live_set(block);
        CHECK(live_test(block));
        CHECK_EQUAL(bitmap_count_range(window.live_map, 0, 2 * GRANULES_PER_UNIT), 1);
        live_clear(block);
        CHECK(!live_test(block));
    }
}

/* Unit and tables can be written, at both ends. */
static void use_unit(size_t unit) {
    volatile char *start = window_address(unit);
    start[0] = 1;
    start[UNIT - 1] = 1;
    page_map_store(unit, UNIT_LARGE);
    window.spans[unit] = NULL;
    live_set((const void *)window_address(unit));
    live_set((const char *)window_address(unit) + UNIT - GRANULE);
}

static void a_window_grows_in_steps_to_its_end(void) {
    CHECK(root_start());
    size_t size = window.units_area.size;
    size_t steps = 0;
    CHECK_EQUAL(size, 32 * MIB);
    CHECK_EQUAL(window.units_reserved, size / UNIT);
    for (size_t units = 1; units <= size / UNIT; units++) {
        size_t before = window.units_area.accessible;
        uint64_t calls = os_inject_calls(OS_CALL_MPROTECT);
        CHECK_EQUAL(window_reach(units), 0);
        size_t after = window.units_area.accessible;
        CHECK(after >= units * UNIT);
        CHECK_EQUAL(window_granules(), after / GRANULE);
        if (after == before) {
            CHECK_EQUAL(os_inject_calls(OS_CALL_MPROTECT), calls);
        } else {
            size_t growth = before / 4 > MIB ? before / 4 : MIB;
            CHECK(after == size || after - before >= growth);
            steps++;
        }
        use_unit(units - 1);
    }
    CHECK_AT_MOST(steps, 20);
    CHECK_EQUAL(window_reach(size / UNIT + 1), ENOMEM);
    CHECK_EQUAL(window_reach(SIZE_MAX >> UNIT_SHIFT), ENOMEM);
    CHECK_EQUAL(window.units_area.accessible, size);
    CHECK_EQUAL(window_granules(), size / GRANULE);
}

static void an_area_ends_where_it_ends(void) {
    CHECK(root_start());
    struct area *area = &window.heaps_area;
    CHECK_EQUAL(area_reach(area, 1, OS_PAGE), 0);
    CHECK_EQUAL(area->accessible, OS_PAGE);
    CHECK_EQUAL(area_reach(area, OS_PAGE, UNIT), 0);
    CHECK_EQUAL(area->accessible, OS_PAGE);
    CHECK_EQUAL(area_reach(area, area->size + 1, UNIT), ENOMEM);
    CHECK_EQUAL(area_reach(area, SIZE_MAX, UNIT), ENOMEM);
    CHECK_EQUAL(area->accessible, OS_PAGE);
    CHECK_EQUAL(area_reach(area, area->size - 1, 16 * MIB), 0);
    CHECK_EQUAL(area->accessible, area->size);
}

static void areas_do_not_overlap(void) {
    CHECK(root_start());
    const struct area *areas[] = {&window.page_map_area, &window.spans_area,    &window.heaps_area,
                                  &window.live_map_area, &window.metadata_area, &window.units_area};
    for (size_t i = 0; i + 1 < sizeof areas / sizeof *areas; i++) {
        CHECK(areas[i]->start + areas[i]->size <= areas[i + 1]->start);
    }
    /* a write that runs off the tables' end meets no block */
    CHECK(window.metadata_area.start + window.metadata_area.size + UNIT <= window.units_area.start);
    CHECK(window.page_map_area.size >= window.units_reserved * sizeof(page_map_entry));
    CHECK(window.spans_area.size >= window.units_reserved * sizeof(struct span *));
    CHECK(window.live_map_area.size >= window.units_reserved * GRANULES_PER_UNIT / 8);
}

/* Some of the system calls of a step fail: it succeeds with less, or nothing has changed that anyone can see. */
static void a_refused_step_leaves_the_window_whole(void) {
    CHECK(root_start());
    size_t units = 0;
    for (uint64_t after = 0; after < 4; after++) {
        for (uint64_t count = 1; count < 12; count++) {
            units = window.units_area.accessible / UNIT + 1;
            size_t granules = window_granules();
            os_inject(OS_CALL_MPROTECT, after, count, ENOMEM);
            int error = window_reach(units);
            os_inject_clear();
            CHECK(error == 0 || error == ENOMEM);
            CHECK(error == 0 || window_granules() == granules);
            CHECK_EQUAL(window_granules(), window.units_area.accessible / GRANULE);
            CHECK_EQUAL(window_reach(units), 0);
            use_unit(units - 1);
        }
    }
    os_inject(OS_CALL_MPROTECT, 0, 1, ENOMEM);
    CHECK_EQUAL(window_reach(window.units_area.accessible / UNIT + 1), 0); /* less, but enough */
}

static void a_refused_reservation_is_tried_smaller(void) {
    os_inject(OS_CALL_MMAP, 0, 4, ENOMEM);
    CHECK(root_start());
    os_inject_clear();
    CHECK_AT_MOST(window.units_area.size, (size_t)1 << 36); /* a TiB, halved four times */
    engine_free(engine_alloc(1));
    CHECK_VALID();
}

static void an_engine_that_cannot_start_may_later(void) {
    os_inject(OS_CALL_MMAP, 0, UINT64_MAX, ENOMEM);
    CHECK(!root_start());
    errno = 0;
    CHECK(engine_alloc(1) == NULL && errno == ENOMEM);
    CHECK(engine_alloc(MIB) == NULL);
    CHECK_EQUAL(engine_trim(), 0);
    os_inject_clear();
    void *block = engine_alloc(1);
    CHECK(block != NULL);
    engine_free(block);
    CHECK_VALID();
}

/* Leaves room for `bytes` of address space, and starts the engine in it. */
static void start_within(size_t bytes) {
    struct os_usage usage;
    struct rlimit limit;
    os_usage(&usage);
    if (usage.mapped >> 38 || getrlimit(RLIMIT_AS, &limit) != 0) { /* a sanitizer's shadow is larger than any limit */
        child_cannot();
    }
    limit.rlim_cur = usage.mapped + bytes;
    if (setrlimit(RLIMIT_AS, &limit) != 0 || os_address_limit() != limit.rlim_cur) {
        child_cannot();
    }
    CHECK(root_start());
    CHECK(window.claimed);
}

static void a_claimed_window_uses_what_the_limit_leaves(void) {
    enum { BLOCKS = 4096 };
    static unsigned char *blocks[BLOCKS];
    start_within(64 * MIB);
    for (int round = 0; round < 3; round++) {
        size_t count = 0;
        while (count < BLOCKS && (blocks[count] = engine_alloc(20 * KIB)) != NULL) {
            memset(blocks[count], (int)count, 20 * KIB);
            count++;
        }
        CHECK(count < BLOCKS);
        CHECK(count > 48 * MIB / (20 * KIB));
        CHECK_VALID();
        for (size_t i = 0; i < count; i++) {
            CHECK_EQUAL(blocks[i][0], (unsigned char)i);
            CHECK_EQUAL(blocks[i][20 * KIB - 1], (unsigned char)i);
            engine_free(blocks[i]);
        }
        CHECK_VALID();
    }
}

static void a_claimed_window_ends_where_another_mapping_lies(void) {
    start_within(64 * MIB);
    CHECK_EQUAL(window_reach(1), 0);
    size_t accessible = window.units_area.accessible;
    char *other = address(window.base + accessible + 3 * UNIT);
    CHECK_EQUAL(os_claim(other, UNIT), 0);
    memset(other, 7, UNIT);
    CHECK_EQUAL(window_reach(accessible / UNIT + 3), 0);
    use_unit(accessible / UNIT + 2);
    CHECK_EQUAL(window_reach(accessible / UNIT + 4), ENOMEM);
    CHECK(!window_holds(other));
    CHECK(other[0] == 7 && other[UNIT - 1] == 7);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        FRESH(granules_count_from_the_base),
        FRESH(what_lies_outside_is_beyond_every_granule),
        FRESH(the_page_map_tells_units_apart),
        FRESH(the_live_map_has_one_bit_for_each_granule),
        FRESH_WITH(a_window_grows_in_steps_to_its_end, "window=32m"),
        FRESH(an_area_ends_where_it_ends),
        FRESH(areas_do_not_overlap),
        FRESH_WITH(areas_do_not_overlap, "window=1"),
        FRESH(a_refused_step_leaves_the_window_whole),
        FRESH(a_refused_reservation_is_tried_smaller),
        FRESH(an_engine_that_cannot_start_may_later),
        FRESH(a_claimed_window_uses_what_the_limit_leaves),
        FRESH(a_claimed_window_ends_where_another_mapping_lies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
