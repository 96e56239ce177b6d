/*
 * Sized frees with a size that the block cannot have been asked for.
 */
#include "misuse.h"

struct claim {
    size_t size;    /* of the block */
    size_t claimed; /* by who frees it */
};

static void free_with_claim(void *argument) {
    const struct claim *claim = argument;
    free_sized(malloc(claim->size), claim->claimed);
}

static void a_wrong_size_for_a_small_block_is_a_fault(void) {
    expect_fault(free_with_claim, &(struct claim){48, 49},
                 "free_sized(@): size mismatch: slot # of a 48-byte slab, live, freed as 49 bytes");
    expect_fault(free_with_claim, &(struct claim){48, 1000000},
                 "free_sized(@): size mismatch: slot # of a 48-byte slab, live, freed as 1000000 bytes");
    expect_fault(free_with_claim, &(struct claim){4096, 16},
                 "free_sized(@): size mismatch: slot # of a 4096-byte slab, live, freed as 16 bytes");
    expect_fault(free_with_claim, &(struct claim){48, SIZE_MAX},
                 "free_sized(@): size mismatch: slot # of a 48-byte slab, live, freed as 18446744073709551615 bytes");
}

static void a_wrong_size_for_large_and_huge_blocks_is_a_fault(void) {
    expect_fault(free_with_claim, &(struct claim){200000, 300000},
                 "free_sized(@): size mismatch: a large block of 200704 bytes, live, freed as 300000 bytes");
    expect_fault(free_with_claim, &(struct claim){200000, 200001},
                 "free_sized(@): size mismatch: a large block of 200704 bytes, live, freed as 200001 bytes");
    expect_fault(free_with_claim, &(struct claim){200000, 199999},
                 "free_sized(@): size mismatch: a large block of 200704 bytes, live, freed as 199999 bytes");
    expect_fault(free_with_claim, &(struct claim){200000, 100},
                 "free_sized(@): size mismatch: a large block of 200704 bytes, live, freed as 100 bytes");
    expect_fault(free_with_claim, &(struct claim){100000000, 100000001},
                 "free_sized(@): size mismatch: a huge block of 100003840 bytes, live, freed as 100000001 bytes");
    expect_fault(free_with_claim, &(struct claim){100 << 20, 200 << 20},
                 "free_sized(@): size mismatch: a huge block of 104857600 bytes, live, freed as 209715200 bytes");
}

static void free_resized_with_old_claim(void *argument) {
    const struct claim *claim = argument;
    free_sized(realloc(malloc(claim->claimed), claim->size), claim->claimed);
}

/* In place, or elsewhere: what was asked for last counts. */
static void the_size_before_a_realloc_is_a_fault(void) {
    expect_fault(free_resized_with_old_claim, &(struct claim){200000, 200100},
                 "free_sized(@): size mismatch: a large block of 200704 bytes, live, freed as 200100 bytes");
    expect_fault(free_resized_with_old_claim, &(struct claim){100000000, 99999999},
                 "free_sized(@): size mismatch: a huge block of 100003840 bytes, live, freed as 99999999 bytes");
}

static void free_aligned_with_claim(void *argument) {
    const struct claim *claim = argument;
    free_aligned_sized(aligned_alloc(64, claim->size), 64, claim->claimed);
}

static void a_wrong_size_for_an_aligned_block_is_a_fault(void) {
    expect_fault(free_aligned_with_claim, &(struct claim){64, 65},
                 "free_aligned_sized(@): size mismatch: slot # of a 64-byte slab, live, freed as 65 bytes");
}

static void free_with_wrong_alignment(void *argument) {
    (void)argument;
    char *a = aligned_alloc(64, 64);
    char *b = aligned_alloc(64, 64);
    free_aligned_sized((uintptr_t)a % 128 != 0 ? a : b, 128, 64);
}

/* The smallest power of two that the block's address is not a multiple of. */
static void free_large_with_wrong_alignment(void *argument) {
    (void)argument;
    char *block = malloc(200000);
    const uintptr_t alignment = (uintptr_t)block & -(uintptr_t)block;
    free_aligned_sized(block, 2 * alignment, 200000);
}

/* Of two 64-byte slots in a row one is not aligned to 128. */
static void an_alignment_that_the_block_does_not_have_is_a_fault(void) {
    expect_fault(free_with_wrong_alignment, NULL,
                 "free_aligned_sized(@): size mismatch: slot # of a 64-byte slab, live, freed as 64 bytes");
    expect_fault(free_large_with_wrong_alignment, NULL,
                 "free_aligned_sized(@): size mismatch: a large block of 200704 bytes, live, freed as 200000 bytes");
}

static void free_the_inside_sized(void *argument) {
    (void)argument;
    char *block = malloc(48);
    free_sized(hidden(block + 16), 32);
}

static void a_sized_free_of_the_inside_of_a_slot_is_a_fault(void) {
    expect_fault(free_the_inside_sized, NULL,
                 "free_sized(@): not a block's start: 16 bytes into slot # of a 48-byte slab, live");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        PLAIN(a_wrong_size_for_a_small_block_is_a_fault),
        PLAIN(a_wrong_size_for_large_and_huge_blocks_is_a_fault),
        PLAIN(the_size_before_a_realloc_is_a_fault),
        PLAIN(a_wrong_size_for_an_aligned_block_is_a_fault),
        PLAIN(an_alignment_that_the_block_does_not_have_is_a_fault),
        PLAIN(a_sized_free_of_the_inside_of_a_slot_is_a_fault),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
