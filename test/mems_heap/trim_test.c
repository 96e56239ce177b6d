/*
 * trim_test.c - exactly the whole pages inside HOLEs leave the process, and they come back when used.
 */
#include "support/test.h"

#include <errno.h>

#include "os/os.h"
#include "support/kernel.h"
#include "support/thread.h"
#include "twin.h"

#define PAGE ((size_t)4096)

static struct twin twin;

static void begin(void) {
    twin_begin(&twin, space_create(&(struct mems_space_options){.page_size = PAGE}), PAGE, 8);
}

static void end(void) {
    twin_compare(&twin);
    twin_check_contents(&twin);
    space_destroy("mems_space_destroy", twin.space);
}

/* A main node of eight pages with the blocks 1000:1999 and, from the second quarter of the sixth page, 22504:33767,
 * and a HOLE between them. Returns where it is. */
static char *make_gap(void) {
    twin_alloc(&twin, 8 * PAGE, false);
    twin_realloc(&twin, 0, 1000);
    twin_alloc(&twin, 5 * PAGE + 24, false);
    twin_alloc(&twin, 11264, false);
    twin_free(&twin, 1);
    twin_compare(&twin);
    assert_int_equal(twin.layout.count, 3);
    assert_int_equal(twin.layout.pieces[2].start, 22504);
    return twin.layout.pieces[0].physical;
}

static void pages_leave_and_neighbours_stay(void) {
    char *memory = make_gap();
    twin_trim(&twin);
    for (size_t i = 0; i < 8; i++) {
        assert_int_equal(mapped(memory + i * PAGE), i == 0 || i >= 5);
    }
    twin_compare(&twin);
    twin_check_contents(&twin);
    assert_int_equal(twin.layout.count, 5); /* P H, H without memory, H P */
    assert_ptr_equal(space_get("get", twin.space, twin.layout.pieces[4].handle), memory + 21504);
    twin_try_address(&twin, 1000 + 2 * PAGE);
    twin_trim(&twin); /* nothing more */
}

/* The remaining HOLEs are filled first; then the reserved addresses, from the lowest, with new pages. */
static void reserved_addresses_are_used_again(void) {
    make_gap();
    twin_trim(&twin);
    twin_alloc(&twin, 3 * PAGE, true);
    assert_true(twin.layout.pieces[2].process && twin.layout.pieces[2].start == 1000 + PAGE);
    twin_compare(&twin);
    twin_alloc(&twin, PAGE, true);
    assert_true(twin.layout.pieces[3].process && twin.layout.pieces[3].start == 1000 + 4 * PAGE);
    twin_compare(&twin);
    twin_alloc(&twin, PAGE, true);
    assert_int_equal(twin.layout.pieces[twin.layout.count - 1].start, 1000 + 8 * PAGE);
    twin_check_contents(&twin);
}

/* A split main node is joined again when its addresses are backed, if the system gives the same place. */
static void a_main_node_that_was_divided_is_joined(void) {
    char *memory = make_gap();
    struct mems_stats stats;
    twin_trim(&twin);
    space_stats("stats", twin.space, &stats);
    assert_int_equal(stats.main_nodes, 3);
    twin_alloc(&twin, 4 * PAGE, true);
    twin_compare(&twin);
    twin_check_contents(&twin);
    bool same = space_get("get", twin.space, twin.layout.pieces[2].handle) == memory + PAGE;
    space_stats("stats", twin.space, &stats);
    assert_int_equal(stats.main_nodes, same ? 1 : 3);
    assert_true(same || UNDER_TSAN);
    assert_int_equal(stats.pieces, same ? 1 : 3);
}

static void main_nodes_without_memory_join(void) {
    static const size_t order[] = {3, 0, 2, 1, 4};
    for (size_t i = 0; i < 5; i++) {
        twin_alloc(&twin, PAGE, false);
    }
    for (size_t i = 0; i < 5; i++) {
        twin_free(&twin, layout_at(&twin.layout, 1000 + order[i] * PAGE));
        twin_trim(&twin);
        twin_compare(&twin);
    }
    assert_int_equal(twin.layout.count, 1);
    twin_alloc(&twin, 5 * PAGE, true); /* in the joined addresses */
    assert_int_equal(layout_end(&twin.layout), 1000 + 5 * PAGE);
}

/* A failing call silently keeps the gap's pages from going back. */
static void trim_in_vain(enum os_call call, char *memory) {
    os_inject(call, 0, 1, ENOMEM);
    twin_listen();
    assert_int_equal(space_trim("trim", twin.space), 0);
    twin_expect_silence();
    os_inject_clear();
    twin_compare(&twin);
    assert_true(mapped(memory + PAGE));
}

/* Without a free cell for the nodes of a split, trimming gets some; without memory for them, it does nothing. */
static void a_trim_gets_the_nodes_that_it_needs(void) {
    char *memory = make_gap();
    while (twin.space->nodes.main.spare > 0) {
        twin_alloc(&twin, 6 * PAGE, false); /* too large for the gap */
    }
    trim_in_vain(OS_CALL_MMAP, memory);
    twin_trim(&twin);
    twin_compare(&twin);
    assert_false(mapped(memory + PAGE));
}

static void pages_that_the_system_keeps_are_used_again(void) {
    char *memory = make_gap();
    trim_in_vain(OS_CALL_MUNMAP, memory);
    twin_alloc(&twin, 4 * PAGE, true);
    assert_int_equal(twin.layout.pieces[1].start, 2000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        PLAIN_WITH(pages_leave_and_neighbours_stay, begin, end),
        PLAIN_WITH(reserved_addresses_are_used_again, begin, end),
        PLAIN_WITH(a_main_node_that_was_divided_is_joined, begin, end),
        PLAIN_WITH(main_nodes_without_memory_join, begin, end),
        PLAIN_WITH(a_trim_gets_the_nodes_that_it_needs, begin, end),
        PLAIN_WITH(pages_that_the_system_keeps_are_used_again, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
