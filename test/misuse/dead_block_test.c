/*
 * Freed blocks passed to functions other than free, and blocks freed after realloc has moved them.
 */
#include "misuse.h"

static void resize_freed(void *argument) {
    size_t size = *(size_t *)argument;
    void *block = malloc(size);
    free(block);
    void *moved = realloc(hidden(block), size + 1);
    (void)hidden(moved);
}

static void resizing_a_freed_block_is_a_fault(void) {
    expect_fault(resize_freed, &(size_t){48}, "realloc(@): not a live block: slot # of a 48-byte slab, cached");
    expect_fault(resize_freed, &(size_t){200000}, "realloc(@): not a live block: a large block of # bytes, cached");
    expect_fault(resize_freed, &(size_t){100 << 20},
                 "realloc(@): not a live block: a huge block of 104857600 bytes, free");
}

static void resize_inside(void *argument) {
    (void)argument;
    char *block = malloc(48);
    void *moved = realloc(hidden(block + 16), 100);
    (void)hidden(moved);
}

static void resizing_the_inside_of_a_slot_is_a_fault(void) {
    expect_fault(resize_inside, NULL, "realloc(@): not a block's start: 16 bytes into slot # of a 48-byte slab, live");
}

static void ask_size_of_freed(void *argument) {
    size_t size = *(size_t *)argument;
    void *block = malloc(size);
    free(block);
    (void)malloc_usable_size(hidden(block));
}

static void asking_the_size_of_a_freed_block_is_a_fault(void) {
    expect_fault(ask_size_of_freed, &(size_t){48},
                 "malloc_usable_size(@): not a live block: slot # of a 48-byte slab, cached");
    expect_fault(ask_size_of_freed, &(size_t){100 << 20},
                 "malloc_usable_size(@): not a live block: a huge block of 104857600 bytes, free");
}

static void free_what_realloc_moved(void *argument) {
    size_t size = *(size_t *)argument;
    char *block = malloc(size);
    char *old = hidden(block);
    void *moved = realloc(block, size * 20);
    if (moved != old) {
        free(hidden(old));
    }
}

static void freeing_what_realloc_has_moved_is_a_fault(void) {
    expect_fault(free_what_realloc_moved, &(size_t){48}, "free(@): double free: slot # of a 48-byte slab, cached");
    expect_fault(free_what_realloc_moved, &(size_t){20000},
                 "free(@): double free: slot # of a 23808-byte slab, cached");
}

static void free_what_realloc_to_zero_freed(void *argument) {
    (void)argument;
    char *block = malloc(48);
    char *old = hidden(block);
    if (realloc(block, 0) == NULL) {
        free(hidden(old));
    }
}

static void freeing_what_realloc_to_zero_has_freed_is_a_fault(void) {
    expect_fault(free_what_realloc_to_zero_freed, NULL, "free(@): double free: slot # of a 48-byte slab, cached");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        PLAIN(resizing_a_freed_block_is_a_fault),
        PLAIN(resizing_the_inside_of_a_slot_is_a_fault),
        PLAIN(asking_the_size_of_a_freed_block_is_a_fault),
        PLAIN(freeing_what_realloc_has_moved_is_a_fault),
        PLAIN(freeing_what_realloc_to_zero_has_freed_is_a_fault),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
