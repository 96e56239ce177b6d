/*
 * Blocks misused by a thread that does not own them: the proof is made by the owner, when it drains its inbox.
 */
#include "misuse.h"

#include "support/thread.h"

static void *free_in_thread(void *block) {
    free(hidden(block));
    return NULL;
}

/* Ends when the thread has: what it freed is in its owner's inbox. */
static void free_remotely(void *block) {
    thread_run(free_in_thread, block);
}

/* What the first thread of a process makes the C library allocate must not land where a block has just been freed. */
static void warm_up(void) {
    free_remotely(malloc(1));
}

static void freed_here_then_there(void *argument) {
    size_t size = *(size_t *)argument;
    warm_up();
    void *block = malloc(size);
    free(block);
    free_remotely(hidden(block));
    turn_over(size);
}

static void freed_there_then_here(void *argument) {
    size_t size = *(size_t *)argument;
    warm_up();
    void *block = malloc(size);
    free_remotely(block);
    free(hidden(block));
    turn_over(size);
}

static void freed_there_twice(void *argument) {
    size_t size = *(size_t *)argument;
    warm_up();
    void *block = malloc(size);
    free_remotely(block);
    free_remotely(hidden(block));
    turn_over(size);
}

static void a_small_block_freed_twice_by_two_threads_is_a_fault(void **state) {
    (void)state;
    static const char cached[] = "free(@): double free: slot # of a 48-byte slab, cached";
    static const char given_back[] = "free(@): double free: slot # of a 48-byte slab, free";
    expect_fault(freed_here_then_there, &(size_t){48}, cached);
    expect_fault(freed_there_then_here, &(size_t){48}, cached); /* the owner's own free comes before its drain */
    expect_fault(freed_there_twice, &(size_t){48}, given_back);
}

static void a_large_block_freed_twice_by_two_threads_is_a_fault(void **state) {
    (void)state;
    static const char report[] = "free(@): double free: in free memory of the window (a span of # bytes)";
    expect_fault(freed_here_then_there, &(size_t){200000}, report);
    expect_fault(freed_there_then_here, &(size_t){200000}, report);
    expect_fault(freed_there_twice, &(size_t){200000}, report);
}

static void a_huge_block_freed_twice_by_two_threads_is_a_fault(void **state) {
    (void)state;
    static const char report[] = "free(@): double free: a huge block of 104857600 bytes, free";
    expect_fault(freed_here_then_there, &(size_t){100 << 20}, report);
    expect_fault(freed_there_then_here, &(size_t){100 << 20}, report);
    expect_fault(freed_there_twice, &(size_t){100 << 20}, report);
}

static void inside(void *argument) {
    size_t offset = *(size_t *)argument;
    char *block = malloc(48);
    free_remotely(hidden(block + offset));
    turn_over(48);
}

static void freeing_the_inside_of_a_slot_in_another_thread_is_a_fault(void **state) {
    (void)state;
    expect_fault(inside, &(size_t){16}, "free(@): not a block's start: 16 bytes into slot # of a 48-byte slab, live");
    expect_fault(inside, &(size_t){1}, "free(@): not a block's start: 1 bytes into slot # of a 48-byte slab, live");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_small_block_freed_twice_by_two_threads_is_a_fault),
        cmocka_unit_test(a_large_block_freed_twice_by_two_threads_is_a_fault),
        cmocka_unit_test(a_huge_block_freed_twice_by_two_threads_is_a_fault),
        cmocka_unit_test(freeing_the_inside_of_a_slot_in_another_thread_is_a_fault),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
