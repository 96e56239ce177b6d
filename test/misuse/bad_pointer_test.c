/*
 * Pointers that never were a block: inside one, misaligned, or from elsewhere.
 */
#include "misuse.h"

#include <sys/mman.h>

static void freeing_the_inside_of_a_slot_is_a_fault(void) {
    expect_fault(free_inside, &(struct inside){48, 16},
                 "free(@): not a block's start: 16 bytes into slot # of a 48-byte slab, live");
    expect_fault(free_inside, &(struct inside){30000, 29999},
                 "free(@): not a block's start: 29999 bytes into slot # of a 32768-byte slab, live");
}

static void freeing_a_misaligned_pointer_is_a_fault(void) {
    expect_fault(free_inside, &(struct inside){48, 1},
                 "free(@): not a block's start: 1 bytes into slot # of a 48-byte slab, live");
    expect_fault(free_inside, &(struct inside){16, 8},
                 "free(@): not a block's start: 8 bytes into slot # of a 16-byte slab, live");
    expect_fault(free_inside, &(struct inside){200000, 1},
                 "free(@): not a block's start: 1 bytes into a large block of 200704 bytes, live");
}

static void freeing_the_inside_of_a_large_block_is_a_fault(void) {
    expect_fault(free_inside, &(struct inside){200000, 16},
                 "free(@): not a block's start: 16 bytes into a large block of 200704 bytes, live");
    expect_fault(free_inside, &(struct inside){200000, 131072},
                 "free(@): not a block's start: 131072 bytes into a large block of 200704 bytes, live");
}

static void freeing_the_inside_of_a_huge_block_is_a_fault(void) {
    expect_fault(free_inside, &(struct inside){100 << 20, 16},
                 "free(@): not a block's start: 16 bytes into a huge block of 104857600 bytes, live");
    expect_fault(free_inside, &(struct inside){100 << 20, 50 << 20},
                 "free(@): not a block's start: 52428800 bytes into a huge block of 104857600 bytes, live");
}

static void resize_it(void *pointer) {
    void *moved = realloc(hidden(pointer), 100);
    (void)hidden(moved);
}

static void ask_size(void *pointer) {
    (void)malloc_usable_size(hidden(pointer));
}

static void a_pointer_never_from_this_heap_is_a_fault(void) {
    static char data[64];
    _Alignas(16) char stack[64];
    void *mapped = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(mapped, MAP_FAILED);
    void *const pointers[] = {data, stack, mapped, stack + 8, data + 1, (void *)16, (void *)UINTPTR_MAX};
    for (size_t i = 0; i < sizeof pointers / sizeof *pointers; i++) {
        expect_fault(free_pointer, pointers[i], "free" FOREIGN);
        expect_fault(resize_it, pointers[i], "realloc" FOREIGN);
        expect_fault(ask_size, pointers[i], "malloc_usable_size" FOREIGN);
    }
    munmap(mapped, 4096);
}

static void a_never_used_part_of_the_window_is_a_fault(void) {
    char *block = malloc(100);
    expect_fault(free_pointer, block + ((size_t)256 << 20), "free(@): not from this heap: in the window, never used");
    free(block);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        PLAIN(freeing_the_inside_of_a_slot_is_a_fault),        PLAIN(freeing_a_misaligned_pointer_is_a_fault),
        PLAIN(freeing_the_inside_of_a_large_block_is_a_fault), PLAIN(freeing_the_inside_of_a_huge_block_is_a_fault),
        PLAIN(a_pointer_never_from_this_heap_is_a_fault),      PLAIN(a_never_used_part_of_the_window_is_a_fault),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
