/*
 * window_test.c - the arithmetic of addresses, the page map, a window that grows to its end, reserved or claimed, and
 * where the tables lie: at random, behind guards, out of reach of any overrun.
 */
#include "support/fresh.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "engine/root/root.h"
#include "engine/tables/live_map.h"
#include "engine/tables/page_map.h"
#include "engine/tables/window.h"
#include "os/os.h"
#include "support/engine_heap.h"
#include "support/kernel.h"

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
                                 window.tables_start,
                                 window.tables_start + window.tables_size - 1,
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
    const uint32_t ids[] = {1, 2, 0xffff, HEAP_NOBODY, HEAP_ABANDONED};
    for (int step = 0; step < 10000; step++) {
        uint32_t entry = (uint32_t)random_below(&fresh_random, UNIT_KINDS);
        if (random_below(&fresh_random, 2)) {
            uint32_t id = ids[random_below(&fresh_random, 5)];
            unsigned size_class = (unsigned)random_below(&fresh_random, SIZE_CLASSES);
            entry = page_map_tag(id) | size_class;
            CHECK(entry_is_slab(entry) && !entry_is_free(entry));
            CHECK_EQUAL(entry_heap(entry), id);
            CHECK_EQUAL(entry_class(entry), size_class);
        } else {
            CHECK(!entry_is_slab(entry));
            CHECK_EQUAL(entry_is_free(entry), entry == UNIT_FRESH || entry == UNIT_UNMAPPED || entry == UNIT_DIRTY);
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

static void the_live_map_tells_of_each_granule(void) {
    CHECK(root_start());
    CHECK_EQUAL(window_reach(2), 0);
    for (size_t granule = 0; granule < 2 * GRANULES_PER_UNIT; granule++) {
        const void *block = address(window.base + granule * GRANULE);
        CHECK(!live_test(block));
        live_set(block);
        CHECK(live_test(block));
        CHECK_EQUAL(live_count(0, 2), 1);
        CHECK(live_end(block));
        CHECK(!live_end(block));
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
    atomic_store_explicit(&window.inbox_links[unit], 1, memory_order_relaxed);
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

/* In the order of their addresses. */
enum { TABLES = 6 };
static struct area *const tables[TABLES] = {&window.page_map_area,    &window.spans_area,    &window.heaps_area,
                                            &window.inbox_links_area, &window.live_map_area, &window.metadata_area};

static void tables_lie_apart(void) {
    CHECK(root_start());
    uintptr_t end = window.tables_start;
    for (size_t i = 0; i < TABLES; i++) {
        CHECK(tables[i]->start >= end + WINDOW_GUARD);
        end = tables[i]->start + tables[i]->size;
    }
    CHECK_EQUAL(end + WINDOW_GUARD, window.tables_start + window.tables_size);
    uintptr_t units_end = window.base + window.units_area.size;
    CHECK(window.tables_start >= units_end + WINDOW_GUARD ||
          window.tables_start + window.tables_size + WINDOW_GUARD <= window.base);
    CHECK(window.page_map_area.size >= window.units_reserved * sizeof(uint32_t));
    CHECK(window.spans_area.size >= window.units_reserved * sizeof(struct span *));
    CHECK(window.inbox_links_area.size >= window.units_reserved * sizeof(uint32_t));
    CHECK(window.live_map_area.size >= window.units_reserved * LIVE_MAP_BYTES);
}

static void check_guards(const struct area *area) {
    uintptr_t end = area->start + area->accessible;
    CHECK(readable(address(area->start)) && readable(address(end - 1)));
    for (size_t distance = 0; distance < WINDOW_GUARD; distance += OS_PAGE) {
        CHECK(!readable(address(end + distance)));
        CHECK(!readable(address(area->start - distance - 1)));
    }
}

/* Both where an area has room to grow and where it is accessible to its end. */
static void guards_stand_on_both_sides_of_each_area(void) {
    CHECK(root_start());
    CHECK_EQUAL(window_reach(1), 0);
    check_guards(&window.units_area);
    CHECK_EQUAL(window_reach(window.units_reserved), 0);
    check_guards(&window.units_area);
    for (size_t i = 0; i < TABLES; i++) {
        CHECK_EQUAL(area_reach(tables[i], 1, UNIT), 0);
        check_guards(tables[i]);
        CHECK_EQUAL(area_reach(tables[i], tables[i]->size, UNIT), 0);
        check_guards(tables[i]);
    }
}

/* Where a process has its tables, and where it has put a block that is a mapping. */
struct places {
    uintptr_t huge;
    uintptr_t tables[TABLES];
};

/* A forked child has its parent's mappings, and so what the kernel chooses is the same in each. */
static struct places places_in_a_child(void) {
    struct places places = {0};
    int ends[2];
    CHECK(pipe(ends) == 0);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        places.huge = (uintptr_t)engine_alloc(70 * MIB);
        for (size_t i = 0; i < TABLES; i++) {
            places.tables[i] = tables[i]->start;
        }
        _exit(write(ends[1], &places, sizeof places) != (ssize_t)sizeof places);
    }
    CHECK_EQUAL(read(ends[0], &places, sizeof places), sizeof places);
    CHECK(waitpid(child, NULL, 0) == child);
    close(ends[0]);
    close(ends[1]);
    return places;
}

static size_t count_distinct(const uintptr_t *values, size_t count) {
    size_t distinct = 0;
    for (size_t i = 0; i < count; i++) {
        size_t before = 0;
        while (before < i && values[before] != values[i]) {
            before++;
        }
        distinct += before == i;
    }
    return distinct;
}

/* No distance can be learned from another process. Chance gives two of them the same one now and then, so not all of
 * the 16 have to differ; that five of them are the same ones happens once in a thousand million runs. */
static void each_process_has_its_tables_elsewhere(void) {
    enum { CHILDREN = 16 };
    struct places places[CHILDREN];
    for (size_t i = 0; i < CHILDREN; i++) {
        places[i] = places_in_a_child();
        CHECK(places[i].huge != 0);
    }
    for (size_t table = 0; table < TABLES; table++) {
        uintptr_t distances[CHILDREN], least = UINTPTR_MAX, most = 0;
        for (size_t i = 0; i < CHILDREN; i++) {
            distances[i] = places[i].tables[table] - places[i].huge;
            least = places[i].tables[table] < least ? places[i].tables[table] : least;
            most = places[i].tables[table] > most ? places[i].tables[table] : most;
        }
        CHECK(count_distinct(distances, CHILDREN) >= CHILDREN - 4);
        CHECK(most - least >= (uintptr_t)1 << 30);
        for (size_t i = 0; i < CHILDREN && table > 0; i++) {
            distances[i] = places[i].tables[table] - places[i].tables[table - 1];
        }
        CHECK(count_distinct(distances, CHILDREN) >= CHILDREN - 4);
    }
}

/* Every place but the kernel's own choice is refused. */
static void tables_for_which_no_random_place_is_free_have_guards_all_the_same(void) {
    os_inject(OS_CALL_MMAP, 1, 8, EEXIST);
    uint64_t calls = os_inject_calls(OS_CALL_MMAP);
    CHECK(root_start());
    CHECK_EQUAL(os_inject_calls(OS_CALL_MMAP) - calls, 10);
    os_inject_clear();
    tables_lie_apart();
    guards_stand_on_both_sides_of_each_area();
}

static sigjmp_buf fault_seen;

static void see_fault(int number) {
    (void)number;
    siglongjmp(fault_seen, 1);
}

static volatile size_t written;

__attribute__((noinline)) static void write_bytes(volatile char *start, ptrdiff_t step, size_t bytes) {
    for (written = 0; written < bytes; written++, start += step) {
        *start = (char)(written * 7 + 1);
    }
}

/* Writes `bytes` bytes from `start` on, upwards or downwards, until that is a fault: how many bytes it wrote. */
static size_t overrun(char *start, ptrdiff_t step, size_t bytes) {
    struct sigaction action = {.sa_handler = see_fault};
    CHECK(sigaction(SIGSEGV, &action, NULL) == 0);
    if (sigsetjmp(fault_seen, 1) == 0) {
        write_bytes(start, step, bytes);
    }
    signal(SIGSEGV, SIG_DFL);
    return written;
}

/* Mappings made after the start lie side by side: the last one ends where the heap's reservation, or another's mapping,
 * begins. */
static void an_overrun_of_any_block_leaves_the_tables_alone(void) {
    const size_t huge_size = 64 * MIB + UNIT;
    char *small = engine_alloc(48);
    char *huge = engine_alloc(huge_size);
    CHECK(small != NULL && huge != NULL);
    strcpy(small, "innocent");
    CHECK(overrun(huge + huge_size, 1, UNIT) < UNIT);
    CHECK_VALID();
    CHECK_EQUAL(overrun((char *)window.base - 1, -1, UNIT), 0);
    CHECK_EQUAL(overrun((char *)window.base + window.units_area.accessible, 1, UNIT), 0);
    CHECK_VALID();
    CHECK(strcmp(small, "innocent") == 0);
    CHECK_EQUAL(engine_usable_size("malloc_usable_size", small), 48);
    engine_free(small);
    engine_free(huge);
    CHECK_VALID();
}

static int left_out(uintptr_t at) {
    return left_out_of_cores(address(at));
}

static void check_left_out(const struct area *area) {
    CHECK_EQUAL(left_out(area->start), 0);
    CHECK_EQUAL(left_out(area->start + area->accessible - 1), 0);
    CHECK_EQUAL(left_out(area->start - 1), 1);
    CHECK_EQUAL(left_out(area->start + area->size), 1);
    CHECK_EQUAL(left_out(area->start + area->accessible + UNIT), 1);
}

static void cores_have_what_is_accessible_and_leave_out_the_rest(void) {
    CHECK(root_start());
    CHECK_EQUAL(window_reach(1), 0);
    if (!cores_can_leave_out()) {
        child_cannot();
    }
    for (size_t step = 1; step < 4; step++) {
        CHECK_EQUAL(window_reach(step << 12), 0);
        check_left_out(&window.units_area);
        for (size_t i = 0; i < TABLES; i++) {
            CHECK_EQUAL(area_reach(tables[i], (step << 17) + 1, UNIT), 0);
            check_left_out(tables[i]);
        }
    }
}

static void a_window_grows_where_no_mapping_is_left(void) {
    size_t size = 0;
    not_beside_a_sanitizer();
    CHECK(root_start());
    CHECK_EQUAL(window_reach(1), 0);
    char *crowd = use_up_mappings(&size);
    if (crowd == NULL) {
        child_cannot();
    }
    CHECK_EQUAL(window_reach(40000), 0);
    CHECK(munmap(crowd, size) == 0);
    use_unit(40000 - 1);
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

/* Leaves room for `bytes` of address space. */
static void limit_addresses(size_t bytes) {
    struct os_usage usage;
    struct rlimit limit;
    not_beside_a_sanitizer();
    os_usage(&usage);
    CHECK(getrlimit(RLIMIT_AS, &limit) == 0);
    limit.rlim_cur = usage.mapped + bytes;
    if (setrlimit(RLIMIT_AS, &limit) != 0 || os_address_limit() != limit.rlim_cur) {
        child_cannot();
    }
}

static void start_within(size_t bytes) {
    limit_addresses(bytes);
    CHECK(root_start());
    CHECK(window_is_claimed());
    tables_lie_apart();
}

static void a_start_that_failed_within_a_limit_succeeds_without_it(void) {
    struct rlimit before;
    CHECK(getrlimit(RLIMIT_AS, &before) == 0);
    limit_addresses(64 * MIB);
    os_inject(OS_CALL_MMAP, 1, UINT64_MAX, ENOMEM);
    CHECK(!root_start());
    os_inject_clear();
    CHECK(setrlimit(RLIMIT_AS, &before) == 0);
    CHECK(root_start());
    CHECK(!window_is_claimed());
    tables_lie_apart();
    engine_free(engine_alloc(1));
    CHECK_VALID();
}

/* The second table's place is taken: the first one's is given up, and all go elsewhere. */
static void tables_that_find_no_room_leave_nothing_behind(void) {
    struct os_usage before, after;
    size_t accessible = 0;
    os_usage(&before);
    os_inject(OS_CALL_MMAP, 2, 2, EEXIST);
    start_within(64 * MIB);
    os_inject_clear();
    os_usage(&after);
    for (size_t i = 0; i < TABLES; i++) {
        accessible += tables[i]->accessible;
    }
    CHECK_EQUAL(after.mapped - before.mapped, accessible);
    CHECK_VALID();
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
    CHECK_EQUAL(window_reach(accessible / UNIT + 4), EEXIST);
    CHECK(!window_holds(other));
    CHECK(other[0] == 7 && other[UNIT - 1] == 7);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        FRESH(granules_count_from_the_base),
        FRESH(what_lies_outside_is_beyond_every_granule),
        FRESH(the_page_map_tells_units_apart),
        FRESH(the_live_map_tells_of_each_granule),
        FRESH_WITH(a_window_grows_in_steps_to_its_end, "window=32m"),
        FRESH(an_area_ends_where_it_ends),
        FRESH(tables_lie_apart),
        FRESH_WITH(tables_lie_apart, "window=4m"),
        FRESH_WITH(guards_stand_on_both_sides_of_each_area, "window=32m"),
        FRESH_WITH(each_process_has_its_tables_elsewhere, "window=1g"),
        FRESH_WITH(tables_for_which_no_random_place_is_free_have_guards_all_the_same, "window=32m"),
        FRESH(an_overrun_of_any_block_leaves_the_tables_alone),
        FRESH_WITH(an_overrun_of_any_block_leaves_the_tables_alone, "window=32m"),
        FRESH(cores_have_what_is_accessible_and_leave_out_the_rest),
        FRESH(a_window_grows_where_no_mapping_is_left),
        FRESH(a_refused_step_leaves_the_window_whole),
        FRESH(a_refused_reservation_is_tried_smaller),
        FRESH(an_engine_that_cannot_start_may_later),
        FRESH(a_start_that_failed_within_a_limit_succeeds_without_it),
        FRESH(tables_that_find_no_room_leave_nothing_behind),
        FRESH(a_claimed_window_uses_what_the_limit_leaves),
        FRESH(a_claimed_window_ends_where_another_mapping_lies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
