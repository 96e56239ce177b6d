/*
 * A block freed twice: detected at the second free, whatever its size, and wherever the first left it.
 */
#include "misuse.h"

static void a_small_block_freed_twice_is_a_fault(void) {
    expect_fault(free_twice, &(size_t){48}, "free(@): double free: slot # of a 48-byte slab, cached");
    expect_fault(free_twice, &(size_t){0}, "free(@): double free: slot # of a 16-byte slab, cached");
    expect_fault(free_twice, &(size_t){32768}, "free(@): double free: slot # of a 32768-byte slab, cached");
}

static void a_large_block_freed_twice_is_a_fault(void) {
    expect_fault(free_twice, &(size_t){32769}, "free(@): double free: a large block of 36864 bytes, cached");
    expect_fault(free_twice, &(size_t){1000000}, "free(@): double free: a large block of # bytes, cached");
}

static void a_huge_block_freed_twice_is_a_fault(void) {
    expect_fault(free_twice, &(size_t){100 << 20}, "free(@): double free: a huge block of 104857600 bytes, free");
}

struct later {
    size_t size;
    size_t spared; /* the block that is not freed */
};

/* Frees block 17 again long after its slab got it back. */
static void later(void *argument) {
    enum { COUNT = 5000 };
    static void *blocks[COUNT];
    const struct later *later = argument;
    for (size_t i = 0; i < COUNT; i++) {
        blocks[i] = malloc(later->size);
    }
    for (size_t i = 0; i < COUNT; i++) {
        if (i != later->spared) {
            free(blocks[i]);
        }
    }
    malloc_trim(0);
    free(hidden(blocks[17]));
}

static void a_second_free_long_after_the_first_is_a_fault(void) {
    expect_fault(later, &(struct later){48, 16}, "free(@): double free: slot # of a 48-byte slab, free");
    /* A size that nobody else uses, so that no slab is left. */
    expect_fault(later, &(struct later){3000, SIZE_MAX},
                 "free(@): double free: in free memory of the window (a span of # bytes)");
}

static void calloc_then_twice(void *argument) {
    (void)argument;
    void *block = calloc(10, 10);
    free(block);
    free(hidden(block));
}

static void aligned_then_twice(void *argument) {
    (void)argument;
    void *block = aligned_alloc(4096, 100);
    free(block);
    free(hidden(block));
}

static void a_double_free_is_a_fault_whichever_function_gave_the_block(void) {
    expect_fault(calloc_then_twice, NULL, "free(@): double free: slot # of a 128-byte slab, cached");
    expect_fault(aligned_then_twice, NULL, "free(@): double free: slot # of a 4096-byte slab, cached");
}

static void free_sized_twice(void *argument) {
    (void)argument;
    void *block = malloc(48);
    free_sized(block, 48);
    free_sized(hidden(block), 48);
}

static void free_aligned_sized_twice(void *argument) {
    (void)argument;
    void *block = aligned_alloc(64, 48);
    free_aligned_sized(block, 64, 48);
    free_aligned_sized(hidden(block), 64, 48);
}

static void a_sized_free_of_a_freed_block_is_a_fault(void) {
    expect_fault(free_sized_twice, NULL, "free_sized(@): double free: slot # of a 48-byte slab, cached");
    expect_fault(free_aligned_sized_twice, NULL,
                 "free_aligned_sized(@): double free: slot # of a 64-byte slab, cached");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        PLAIN(a_small_block_freed_twice_is_a_fault),
        PLAIN(a_large_block_freed_twice_is_a_fault),
        PLAIN(a_huge_block_freed_twice_is_a_fault),
        PLAIN(a_second_free_long_after_the_first_is_a_fault),
        PLAIN(a_double_free_is_a_fault_whichever_function_gave_the_block),
        PLAIN(a_sized_free_of_a_freed_block_is_a_fault),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
