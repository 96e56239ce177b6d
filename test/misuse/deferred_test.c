/*
 * check=deferred: small blocks are proved when their magazine is flushed, and so before a slab hands the slot out
 * again. The mode is chosen before the heap is in use, which is before main.
 */
#include "misuse.h"

#include <unistd.h>

#include "mems.h"

static int refused;

__attribute__((constructor)) static void choose(void) {
    refused = mems_option_set("check", "deferred");
}

/* Where the dynamic linker has allocated before any constructor, the environment must say it. */
static void choose_by_environment(char **arguments) {
    if (refused != 0 && getenv("MEMS_OPTIONS") == NULL) {
        setenv("MEMS_OPTIONS", "check=deferred", 1);
        execv("/proc/self/exe", arguments);
    }
}

/* Frees so many blocks of the size that every magazine has been flushed. */
static void flush(size_t size) {
    enum { COUNT = 5000 };
    static void *blocks[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        blocks[i] = malloc(size);
    }
    for (size_t i = 0; i < COUNT; i++) {
        free(blocks[i]);
    }
}

static void twice(void *argument) {
    size_t size = *(size_t *)argument;
    void *block = malloc(size);
    free(block);
    free(hidden(block));
    flush(size);
}

static void test_mode_is_on(void **state) {
    (void)state;
    char value[16];
    assert_int_equal(mems_option_get("check", value, sizeof value), 0);
    assert_string_equal(value, "deferred");
}

static void test_double_free(void **state) {
    (void)state;
    expect_fault(twice, &(size_t){48}, "free(@): double free: slot # of a 48-byte slab, cached");
    expect_fault(twice, &(size_t){3000}, "free(@): double free: slot # of a 3072-byte slab, cached");
}

/* Blocks that have no magazine are proved at once in either mode. */
static void test_double_free_of_large_and_huge(void **state) {
    (void)state;
    expect_fault(twice, &(size_t){200000}, "free(@): double free: in free memory of the window (a span of # bytes)");
    expect_fault(twice, &(size_t){100 << 20}, "free(@): double free: a huge block of 104857600 bytes, free");
}

struct inside {
    size_t size;
    size_t offset;
};

static void free_inside(void *argument) {
    const struct inside *inside = argument;
    char *block = malloc(inside->size);
    free(hidden(block + inside->offset));
    flush(inside->size);
}

static void test_inside(void **state) {
    (void)state;
    expect_fault(free_inside, &(struct inside){48, 16},
                 "free(@): not a block's start: 16 bytes into slot # of a 48-byte slab, live");
    expect_fault(free_inside, &(struct inside){200000, 16},
                 "free(@): not a block's start: 16 bytes into a large block of 200704 bytes, live");
}

/* What is not aligned cannot be in a magazine. */
static void test_misaligned(void **state) {
    (void)state;
    expect_fault(free_inside, &(struct inside){48, 8},
                 "free(@): not a block's start: 8 bytes into slot # of a 48-byte slab, live");
}

static void free_it(void *pointer) {
    free(hidden(pointer));
}

static void test_never_from_this_heap(void **state) {
    (void)state;
    static char data[64];
    expect_fault(free_it, data,
                 "free(@): not from this heap: outside the heap: a pointer of another allocator, of a stack, or of "
                 "static data");
}

int main(int count, char **arguments) {
    (void)count;
    choose_by_environment(arguments);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mode_is_on),
        cmocka_unit_test(test_double_free),
        cmocka_unit_test(test_double_free_of_large_and_huge),
        cmocka_unit_test(test_inside),
        cmocka_unit_test(test_misaligned),
        cmocka_unit_test(test_never_from_this_heap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
