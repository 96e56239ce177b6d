/*
 * handles_test.c - spaces as their users see them: stale handles are detected, pinned blocks stay, movable blocks keep
 * their handles.
 */
#include "support/test.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mems.h"
#include "support/random.h"

static struct mems_error heard;
static unsigned mistakes;
static char text[256];

static void hear(const struct mems_error *error, void *context) {
    (void)context;
    mistakes++;
    heard = *error;
    strncpy(text, error->text, sizeof text - 1);
}

static void listen(void) {
    mems_set_error_handler(hear, NULL);
    mistakes = 0;
}

static uintptr_t address(const void *v_ptr) {
    return (uintptr_t)v_ptr & ((UINT64_C(1) << 48) - 1);
}

/* --- Generations ------------------------------------------------------------------------------------------------- */

/* All functions refuse a handle. */
static void assert_refused(struct mems_space *space, char *v_ptr) {
    char byte;
    mistakes = 0;
    assert_null(mems_space_get(space, v_ptr));
    assert_null(mems_space_get(space, v_ptr + 7));
    assert_null(mems_space_pin(space, v_ptr));
    mems_space_unpin(space, v_ptr);
    assert_null(mems_space_realloc(space, v_ptr, 1));
    assert_int_equal(mems_space_usable_size(space, v_ptr), 0);
    assert_int_equal(mems_space_read(space, v_ptr, &byte, 1), EFAULT);
    assert_int_equal(mems_space_write(space, v_ptr, &byte, 1), EFAULT);
    errno = 0;
    mems_space_free(space, v_ptr);
    assert_int_equal(errno, EFAULT);
    assert_int_equal(mistakes, 9);
}

#define BLOCKS 1000

/* However many other blocks there have been since, even in the same place. */
static void a_stale_handle_is_always_found(void) {
    struct random random = random_start();
    static void *blocks[BLOCKS];
    struct mems_space *space = mems_space_create(NULL);
    for (size_t i = 0; i < BLOCKS; i++) {
        blocks[i] = mems_space_malloc(space, 16 + random_below(&random, 200));
    }
    for (size_t age = 0; age <= 1000; age = age > 0 ? age * 10 : 1) {
        for (size_t trial = 0; trial < 200; trial++) {
            size_t stale = random_below(&random, BLOCKS);
            mems_space_free(space, blocks[stale]);
            for (size_t i = 0; i < age; i++) {
                size_t other = random_below(&random, BLOCKS);
                if (other != stale) {
                    mems_space_free(space, blocks[other]);
                    blocks[other] = mems_space_malloc(space, 16 + random_below(&random, 200));
                }
            }
            assert_refused(space, blocks[stale]);
            blocks[stale] = mems_space_malloc(space, 16 + random_below(&random, 200));
        }
    }
    mems_space_destroy(space);
}

/* The same place again and again: stale handles are detected as long as generations differ, and not once longer. */
static void a_place_has_as_many_generations_as_documented(void) {
    struct mems_space *space = mems_space_create(NULL);
    char *first = mems_space_malloc(space, 40);
    mems_space_free(space, first);
    for (size_t use = 1; use < 2048; use++) {
        char *next = mems_space_malloc(space, 40);
        assert_int_equal(address(next), address(first));
        assert_null(mems_space_get(space, first));
        assert_non_null(mems_space_get(space, next + 39));
        mems_space_free(space, next);
    }
    assert_ptr_equal(mems_space_malloc(space, 40), first);
    mems_space_destroy(space);
}

static void a_handle_of_another_space_is_found(void) {
    struct mems_space *one = mems_space_create(NULL);
    struct mems_space *other = mems_space_create(NULL);
    char *v_ptr = mems_space_malloc(one, 100);
    assert_int_equal(address(v_ptr), address(mems_space_malloc(other, 100)));
    assert_refused(other, v_ptr);
    assert_string_equal(text, "mems_space_free: 1000 belongs to another space");
    assert_int_equal(heard.address, (uintptr_t)v_ptr);
    mems_free(v_ptr);
    assert_string_equal(text + strlen(text) - 20, "was never handed out");
    mems_space_destroy(one);
    for (unsigned i = 0; i < 100; i++) { /* more than there are numbers */
        struct mems_space *next = mems_space_create(NULL);
        assert_non_null(mems_space_malloc(next, 100));
        assert_refused(next, v_ptr);
        mems_space_destroy(next);
    }
    mems_space_destroy(other);
}

static void the_default_space_may_have_generations(void) {
    mems_finish();
    assert_int_equal(mems_set_options(&(struct mems_space_options){.generations = 1}), 0);
    assert_int_equal(mems_init(), 0);
    char *before = mems_malloc(40);
    assert_int_equal(address(before), 1000);
    mems_finish();
    assert_int_equal(mems_init(), 0);
    char *after = mems_malloc(40);
    assert_int_equal(address(after), 1000);
    mems_free(before);
    assert_string_equal(text, "mems_free: 1000 is stale: its block was freed before, and 1000:1039 is another one");
    assert_non_null(mems_get(after));
    mems_finish();
    assert_int_equal(mems_set_options(NULL), 0);
    assert_int_equal(mems_init(), 0);
    assert_ptr_equal(mems_malloc(40), (void *)1000);
    mems_finish();
    assert_int_equal(mems_set_options(&(struct mems_space_options){.alignment = 4}), EINVAL);
    assert_int_equal(mems_set_options(&(struct mems_space_options){.movable = 3}), EINVAL);
    assert_int_equal(mems_set_options(&(struct mems_space_options){.generations = 2}), EINVAL);
    assert_int_equal(mems_init(), 0);
}

/* A block may grow into the place of one whose handle looks like its own. */
static void a_block_that_grows_has_a_new_handle(void) {
    struct mems_space *space = mems_space_create(NULL);
    char *block = mems_space_malloc(space, 40);
    char *behind = mems_space_malloc(space, 40);
    mems_space_free(space, behind);
    char *grown = mems_space_realloc(space, block, 80);
    assert_int_equal(address(grown), address(block));
    assert_refused(space, block);
    assert_refused(space, behind);
    assert_ptr_equal(mems_space_realloc(space, grown, 16), grown);
    assert_non_null(mems_space_get(space, grown + 15));
    mems_space_destroy(space);
}

static int expect_handle(const struct mems_segment *segment, void *context) {
    void **v_ptr = context;
    if (segment->kind == MEMS_PROCESS) {
        assert_ptr_equal(segment->v_ptr, *v_ptr);
        assert_int_equal(segment->start, address(*v_ptr));
        assert_int_equal(segment->pins, 1);
    } else {
        assert_null(segment->v_ptr);
    }
    return 0;
}

static void pictures_show_addresses_and_walks_have_handles(void) {
    char *picture = NULL;
    size_t length = 0;
    FILE *stream = open_memstream(&picture, &length);
    struct mems_space *space = mems_space_create(NULL);
    void *v_ptr = mems_space_malloc(space, 1000);
    assert_non_null(mems_space_pin(space, v_ptr));
    mems_space_fprint_stats(space, stream);
    fclose(stream);
    assert_non_null(strstr(picture, "\nMAIN[1000:5095]-> P[1000:1999] <-> H[2000:5095] <-> NULL\n"));
    free(picture);
    assert_int_equal(mems_space_walk(space, expect_handle, &v_ptr), 0);
    mems_space_destroy(space);
}

/* --- Pins -------------------------------------------------------------------------------------------------------- */

static void assert_pins(struct mems_space *space) {
    char *v_ptr = mems_space_malloc(space, 100);
    char *behind = mems_space_malloc(space, 100);
    char *bytes = mems_space_pin(space, v_ptr);
    assert_ptr_equal(bytes, mems_space_get(space, v_ptr));
    assert_ptr_equal(mems_space_pin(space, v_ptr + 10), bytes + 10);
    mistakes = 0;
    mems_space_free(space, v_ptr);
    assert_int_equal(heard.error, EBUSY);
    assert_string_equal(text, "mems_space_free: 1000 is pinned");
    assert_null(mems_space_realloc(space, v_ptr, 100000));
    assert_int_equal(errno, EBUSY);
    assert_int_equal(mistakes, 2);
    assert_int_equal(mems_space_realloc(space, v_ptr, 50) != NULL, 1);
    mems_space_unpin(space, v_ptr + 20);
    mems_space_unpin(space, v_ptr);
    assert_int_equal(mistakes, 2);
    mems_space_unpin(space, v_ptr);
    assert_int_equal(heard.error, EINVAL);
    assert_string_equal(text, "mems_space_unpin: 1000 is not pinned");
    mems_space_free(space, v_ptr);
    mems_space_free(space, behind);
    assert_int_equal(mistakes, 3);
    mems_space_destroy(space);
}

static void pinned_blocks_are_neither_freed_nor_moved(void) {
    assert_pins(mems_space_create(NULL));
    assert_pins(mems_space_create(&(struct mems_space_options){.movable = MEMS_MOVABLE}));
    assert_pins(mems_space_create(&(struct mems_space_options){.movable = MEMS_MOVES_ALWAYS}));
}

/* --- Movable spaces ---------------------------------------------------------------------------------------------- */

/* Addresses and handles stay, memory falls, and JSON says so. */
static void compaction_keeps_handles(void) {
    enum { COUNT = 10000 };
    static void *blocks[COUNT];
    struct mems_stats before, after;
    struct mems_space *space = mems_space_create(&(struct mems_space_options){.movable = MEMS_MOVABLE});
    for (size_t i = 0; i < COUNT; i++) {
        blocks[i] = mems_space_malloc(space, 1000);
        *(size_t *)mems_space_get(space, blocks[i]) = i;
    }
    for (size_t i = 0; i < COUNT; i++) {
        if (i % 4 != 0) {
            mems_space_free(space, blocks[i]);
        }
    }
    mems_space_stats(space, &before);
    while (mems_space_compact_for(space, 100) > 0) {
    }
    mems_space_stats(space, &after);
    assert_int_equal(before.process_bytes, after.process_bytes);
    assert_true(after.pages <= before.pages / 3 && after.moved_blocks >= COUNT / 5);
    assert_int_equal(after.process_bytes + after.hole_bytes + after.gap_bytes,
                     after.pages * after.page_size + after.reserved_bytes);
    for (size_t i = 0; i < COUNT; i += 4) {
        assert_int_equal(*(size_t *)mems_space_get(space, blocks[i]), i);
        mems_space_free(space, blocks[i]);
    }
    mems_space_destroy(space);
}

static int visit_nothing(const struct mems_segment *segment, void *context) {
    (void)segment;
    (void)context;
    return 1;
}

/* --- NULL -------------------------------------------------------------------------------------------------------- */

static void null_is_refused_where_something_is_needed(void) {
    struct mems_stats stats;
    struct mems_space *space = mems_space_create(NULL);
    mistakes = 0;
    mems_stats(NULL);
    assert_int_equal(errno, EINVAL);
    mems_space_stats(space, NULL);
    mems_space_stats(NULL, &stats);
    mems_fprint_stats(NULL);
    mems_space_fprint_stats(space, NULL);
    mems_space_fprint_stats(NULL, stderr);
    mems_stats_json(NULL);
    mems_space_stats_json(space, NULL);
    errno = 0;
    assert_int_equal(mems_walk(NULL, NULL), -1);
    assert_int_equal(errno, EINVAL);
    assert_int_equal(mems_space_walk(NULL, visit_nothing, NULL), -1);
    assert_null(mems_space_pin(NULL, NULL));
    mems_space_unpin(NULL, NULL);
    assert_null(mems_pin(NULL));
    assert_int_equal(heard.error, EFAULT);
    assert_int_equal(mems_space_compact(NULL, 0), 0);
    assert_int_equal(mems_space_compact_for(NULL, 0), 0);
    assert_int_equal(mistakes, 15);
    mems_engine_stats(NULL);
    mems_space_destroy(space);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        PLAIN_WITH(a_stale_handle_is_always_found, listen, NULL),
        PLAIN_WITH(a_place_has_as_many_generations_as_documented, listen, NULL),
        PLAIN_WITH(a_handle_of_another_space_is_found, listen, NULL),
        PLAIN_WITH(the_default_space_may_have_generations, listen, NULL),
        PLAIN_WITH(a_block_that_grows_has_a_new_handle, listen, NULL),
        PLAIN_WITH(pictures_show_addresses_and_walks_have_handles, listen, NULL),
        PLAIN_WITH(pinned_blocks_are_neither_freed_nor_moved, listen, NULL),
        PLAIN_WITH(compaction_keeps_handles, listen, NULL),
        PLAIN_WITH(null_is_refused_where_something_is_needed, listen, NULL),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
