/*
 * check=deferred: small blocks are checked when their magazine is flushed, and so before a slab hands the slot out
 * again. The mode must be chosen before the heap is used, which is before main.
 */
#include "misuse.h"

#include <malloc.h>
#include <string.h>
#include <unistd.h>

#include "mems.h"
#include "support/thread.h"

static int refused;

__attribute__((constructor)) static void choose(void) {
    refused = mems_option_set("check", "deferred");
}

/* If the dynamic linker allocates before any constructor, the environment must say it. */
static void choose_by_environment(char **arguments) {
    const char *options = getenv("MEMS_OPTIONS");
    if (refused != 0 && (options == NULL || strstr(options, "check=") == NULL)) {
        setenv("MEMS_OPTIONS", "check=deferred,sample=0", 1);
        execv("/proc/self/exe", arguments);
    }
}

static void free_twice_and_flush(void *argument) {
    free_twice(argument);
    turn_over(*(size_t *)argument);
}

static void the_mode_is_on(void) {
    char value[16];
    assert_int_equal(mems_option_get("check", value, sizeof value), 0);
    assert_string_equal(value, "deferred");
}

static void a_double_free_is_a_fault_at_the_flush(void) {
    expect_fault(free_twice_and_flush, &(size_t){48}, "free(@): double free: slot # of a 48-byte slab, cached");
    expect_fault(free_twice_and_flush, &(size_t){3000}, "free(@): double free: slot # of a 3072-byte slab, cached");
}

/* Blocks without a magazine are checked at once in either mode. */
static void a_double_free_of_large_and_huge_blocks_is_a_fault_at_once(void) {
    expect_fault(free_twice_and_flush, &(size_t){200000}, "free(@): double free: a large block of # bytes, cached");
    expect_fault(free_twice_and_flush, &(size_t){100 << 20},
                 "free(@): double free: a huge block of 104857600 bytes, free");
}

static void free_inside_and_flush(void *argument) {
    const struct inside *inside = argument;
    free_inside(argument);
    turn_over(inside->size);
}

static void freeing_the_inside_of_a_block_is_a_fault_at_the_flush(void) {
    expect_fault(free_inside_and_flush, &(struct inside){48, 16},
                 "free(@): not a block's start: 16 bytes into slot # of a 48-byte slab, live");
    expect_fault(free_inside_and_flush, &(struct inside){200000, 16},
                 "free(@): not a block's start: 16 bytes into a large block of 200704 bytes, live");
}

/* A misaligned pointer cannot be in a magazine. */
static void freeing_a_misaligned_pointer_is_a_fault(void) {
    expect_fault(free_inside_and_flush, &(struct inside){48, 8},
                 "free(@): not a block's start: 8 bytes into slot # of a 48-byte slab, live");
}

static void a_pointer_never_from_this_heap_is_a_fault(void) {
    static char data[64];
    expect_fault(free_pointer, data, "free" FOREIGN);
}

/* --- Two threads ---------------------------------------------------------------------------------------------------
 */

static void *free_in_thread(void *block) {
    free(hidden(block));
    return NULL;
}

static void freed_there_twice(void *argument) {
    void *block = malloc(*(size_t *)argument);
    thread_run(free_in_thread, block);
    thread_run(free_in_thread, block);
}

static void freed_there_then_resized(void *argument) {
    void *block = malloc(*(size_t *)argument);
    thread_run(free_in_thread, block);
    block = realloc(hidden(block), 100000);
}

static void freed_there_then_measured(void *argument) {
    void *block = malloc(*(size_t *)argument);
    thread_run(free_in_thread, block);
    (void)!malloc_usable_size(hidden(block));
}

static void freed_there_then_freed_with_its_size(void *argument) {
    size_t size = *(size_t *)argument;
    void *block = malloc(size);
    thread_run(free_in_thread, block);
    free_sized(hidden(block), size);
}

/* Frees by other threads are checked at once in either mode, and so is every use except a free into a magazine. */
static void what_another_thread_has_freed_is_a_fault_at_once(void) {
    size_t size = 3000;
#define REMOTE ": slot # of a 3072-byte slab, freed by another thread"
    expect_fault(freed_there_twice, &size, "free(@): double free" REMOTE);
    expect_fault(freed_there_then_resized, &size, "realloc(@): not a live block" REMOTE);
    expect_fault(freed_there_then_measured, &size, "malloc_usable_size(@): not a live block" REMOTE);
    expect_fault(freed_there_then_freed_with_its_size, &size, "free_sized(@): double free" REMOTE);
}

static void freed_there_then_here_and_flushed(void *argument) {
    void *block = malloc(*(size_t *)argument);
    void *neighbour = malloc(*(size_t *)argument); /* keeps the slab */
    thread_run(free_in_thread, block);
    free(hidden(block));
    malloc_trim(0);
    free(neighbour);
}

static void freed_here_then_there_and_flushed(void *argument) {
    void *block = malloc(*(size_t *)argument);
    void *neighbour = malloc(*(size_t *)argument);
    free(block);
    thread_run(free_in_thread, block);
    malloc_trim(0);
    free(neighbour);
}

/* The owner's own free goes into its magazine unchecked. */
static void a_double_free_of_the_owner_and_another_thread_is_a_fault_at_the_flush(void) {
    static const char report[] = "free(@): double free: slot # of a 3072-byte slab, free";
    expect_fault(freed_there_then_here_and_flushed, &(size_t){3000}, report);
    expect_fault(freed_here_then_there_and_flushed, &(size_t){3000}, report);
}

int main(int count, char **arguments) {
    (void)count;
    choose_by_environment(arguments);
    const struct CMUnitTest tests[] = {
        PLAIN(the_mode_is_on),
        PLAIN(a_double_free_is_a_fault_at_the_flush),
        PLAIN(a_double_free_of_large_and_huge_blocks_is_a_fault_at_once),
        PLAIN(freeing_the_inside_of_a_block_is_a_fault_at_the_flush),
        PLAIN(freeing_a_misaligned_pointer_is_a_fault),
        PLAIN(what_another_thread_has_freed_is_a_fault_at_once),
        PLAIN(a_double_free_of_the_owner_and_another_thread_is_a_fault_at_the_flush),
        PLAIN(a_pointer_never_from_this_heap_is_a_fault),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
