/*
 * misuse_test.c - each mistake ends the program with the exact line that says what, where, and which neighbour.
 */
#include "support/fresh.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "support/hmm_heap.h"

/* Three neighbours; the middle one is the victim. */
static struct {
    unsigned char *before;
    unsigned char *block;
    unsigned char *after;
} row;

static void make_row(size_t size) {
    row.before = HmmAlloc(size);
    row.block = HmmAlloc(size);
    row.after = HmmAlloc(size);
    CHECK(row.block > row.before && row.after > row.block);
    CHECK(HmmAlloc(size) != NULL);
}

#define SMALL ((size_t)40)   /* cached when freed */
#define LARGE ((size_t)5000) /* merged when freed: 5000 + 8 is a multiple of 16 */

/* --- Pointers that are not a user's block --------------------------------------------------------------------- */

static void free_twice(void *argument) {
    make_row(*(size_t *)argument);
    HmmFree(row.block);
    HmmFree(row.block);
}

/* The block's header is gone: it is part of a larger block. */
static void free_twice_when_merged(void *argument) {
    make_row(*(size_t *)argument);
    HmmFree(row.before);
    HmmFree(row.block);
    HmmFree(row.block);
}

static void free_twice_when_trimmed(void *unused) {
    (void)unused;
    make_row(SMALL);
    HmmFree(row.block);
    HmmTrim();
    HmmFree(row.block);
}

static void a_double_free_is_a_fault(void) {
    expect_fault(free_twice, &(size_t){SMALL}, "HmmFree(@): double free: a cached block of 40 bytes");
    expect_fault(free_twice, &(size_t){LARGE}, "HmmFree(@): double free: a free block of 5000 bytes");
    expect_fault(free_twice_when_merged, &(size_t){LARGE},
                 "HmmFree(@): double free: inside a free block of 10008 bytes");
    expect_fault(free_twice_when_trimmed, NULL, "HmmFree(@): double free: a free block of 40 bytes");
}

static void use_freed(void *argument) {
    make_row(*(size_t *)argument);
    HmmFree(row.block);
    (void)HmmUsableSize(row.block);
}

static void resize_freed(void *argument) {
    make_row(*(size_t *)argument);
    HmmFree(row.block);
    (void)HmmRealloc(row.block, 100);
}

static void using_a_freed_block_is_a_fault(void) {
    expect_fault(use_freed, &(size_t){SMALL}, "HmmUsableSize(@): not a live block: a cached block of 40 bytes");
    expect_fault(resize_freed, &(size_t){LARGE}, "HmmRealloc(@): not a live block: a free block of 5000 bytes");
}

static void free_inside(void *argument) {
    make_row(LARGE);
    HmmFree(row.block + *(ptrdiff_t *)argument);
}

static void freeing_what_is_not_the_start_of_a_block_is_a_fault(void) {
    expect_fault(free_inside, &(ptrdiff_t){16},
                 "HmmFree(@): not a block's start: 16 bytes into a used block of 5000 bytes");
    expect_fault(free_inside, &(ptrdiff_t){1},
                 "HmmFree(@): not a block's start: 1 bytes into a used block of 5000 bytes");
    expect_fault(free_inside, &(ptrdiff_t){4999},
                 "HmmFree(@): not a block's start: 4999 bytes into a used block of 5000 bytes");
    expect_fault(free_inside, &(ptrdiff_t){-8}, "HmmFree(@): not a block's start: between blocks");
}

static void free_foreign(void *pointer) {
    make_row(SMALL);
    HmmFree(pointer);
}

static void free_before_all(void *pointer) {
    HmmFree(pointer);
}

static void freeing_a_foreign_pointer_is_a_fault(void) {
    int local = 0;
    expect_fault(free_foreign, &local, "HmmFree(@): not from this heap");
    expect_fault(free_foreign, (void *)(uintptr_t)16, "HmmFree(0x10): not from this heap");
    expect_fault(free_foreign, (void *)UINTPTR_MAX, "HmmFree(@): not from this heap");
    expect_fault(free_before_all, &local, "HmmFree(@): not from this heap: it is empty");
}

static void free_with_size(void *argument) {
    const size_t *sizes = argument;
    make_row(SMALL);
    hmm_free_sized(&hmm_heap, "free_sized", row.block, sizes[0], sizes[1]);
}

static void freeing_with_a_size_that_cannot_be_is_a_fault(void) {
    expect_fault(free_with_size, (size_t[]){41, 0},
                 "free_sized(@): size mismatch: a block of 40 bytes is not one of size 41");
    expect_fault(free_with_size, (size_t[]){40, (size_t)1 << 40},
                 "free_sized(@): size mismatch: a block of 40 bytes is not one of size 40, aligned to 1099511627776");
    expect_success(free_with_size, (size_t[]){40, 16});
    expect_success(free_with_size, (size_t[]){33, 0});
}

/* --- Damage --------------------------------------------------------------------------------------------------- */

/* Eight bytes too many, over the header of the block behind, which is then freed itself. */
static void overflow_then_free_next(void *argument) {
    size_t size = *(size_t *)argument;
    make_row(size);
    memset(row.block, 'x', size + 8);
    HmmFree(row.after);
}

static void overflow_then_free(void *argument) {
    size_t size = *(size_t *)argument;
    make_row(size);
    memset(row.block, 'x', size + 8);
    HmmFree(row.block);
}

static void overflow_then_resize(void *argument) {
    make_row(LARGE);
    memset(row.block, 'x', LARGE + 8);
    (void)HmmRealloc(row.block, *(size_t *)argument);
}

static void underflow(void *unused) {
    (void)unused;
    make_row(SMALL);
    row.before[-1] ^= 1;
    HmmFree(row.before);
}

static void overflow_then_free_behind(void *unused) {
    (void)unused;
    make_row(LARGE);
    memset(row.before, 'x', LARGE + 8);
    HmmFree(row.after + 16);
}

static void a_damaged_header_is_a_fault_that_names_the_neighbour(void) {
    expect_fault(
        overflow_then_free_next, &(size_t){SMALL},
        "HmmFree(@): damaged header: written before its start, or past the end of the used block of 40 bytes at @");
    expect_fault(
        overflow_then_free_next, &(size_t){LARGE},
        "HmmFree(@): damaged header: written before its start, or past the end of the used block of 5000 bytes at @");
    expect_fault(overflow_then_free, &(size_t){LARGE},
                 "HmmFree(@): damaged neighbour: the header at @: this block of 5000 bytes was written past its end");
    size_t sizes[] = {100, 6000};
    for (size_t i = 0; i < 2; i++) {
        expect_fault(
            overflow_then_resize, &sizes[i],
            "HmmRealloc(@): damaged neighbour: the header at @: this block of 5000 bytes was written past its end");
    }
    expect_fault(underflow, NULL, "HmmFree(@): damaged header: written before the start of the heap's first block");
    expect_fault(overflow_then_free_behind, NULL,
                 "HmmFree(@): not a live block: behind a damaged header at @, written before its start, or past the "
                 "end of the used block of "
                 "5000 bytes at @");
}

/* A write to a free block, over its links or its footer. */
static void write_after_free(void *argument) {
    make_row(LARGE);
    HmmFree(row.block);
    memset(row.block + *(size_t *)argument, 'x', 8);
    HmmFree(row.after);
}

/* Zeros are what programs write most often, and what might pass for the end of a list. */
struct zeroes {
    size_t size;
    ptrdiff_t from;
    size_t bytes;
};

/* In the middle one of three free blocks of one list; then all are to be reused. */
static void zero_free(void *argument) {
    const struct zeroes *zeroes = argument;
    char *blocks[3];
    for (size_t i = 0; i < 3; i++) {
        blocks[i] = HmmAlloc(zeroes->size);
        CHECK(HmmAlloc(1100) != NULL);
    }
    for (size_t i = 0; i < 3; i++) {
        HmmFree(blocks[i]);
    }
    memset(blocks[1] + zeroes->from, 0, zeroes->bytes);
    for (size_t i = 0; i < 4; i++) {
        CHECK(HmmAlloc(zeroes->size) != blocks[1]);
    }
}

static void zeroes_over_a_link_are_a_fault(void) {
    const char *cached = "alloc(@): damaged cached block: written to after it was freed";
    const char *free = "alloc(@): damaged free block: written to after it was freed";
    for (ptrdiff_t from = 0; from <= 8; from += 8) {
        for (size_t bytes = 4; bytes <= 16; bytes += 4) {
            expect_fault(zero_free, &(struct zeroes){SMALL, from, bytes}, cached);
            expect_fault(zero_free, &(struct zeroes){LARGE, from, bytes}, free);
        }
    }
    expect_fault(zero_free, &(struct zeroes){LARGE, 16, 8}, free);
    expect_fault(zero_free, &(struct zeroes){LARGE, 0, LARGE}, free);
    expect_fault(zero_free, &(struct zeroes){SMALL, 0, SMALL}, cached);
    expect_fault(zero_free, &(struct zeroes){SMALL, -8, 8},
                 "alloc(@): damaged cached block: its header is overwritten: past the end of the block before it");
    expect_fault(zero_free, &(struct zeroes){LARGE, -8, 8},
                 "alloc(@): damaged free block: its header is overwritten: past the end of the block before it");
}

struct exchange {
    size_t size;
    uintptr_t flipped; /* 0: exchanges */
};

/* Exchanges the first two words of the second of three freed blocks, or flips the same bit in both. */
static void exchange_links(void *argument) {
    const struct exchange *exchange = argument;
    uintptr_t *blocks[4];
    for (size_t i = 0; i < 4; i++) {
        blocks[i] = HmmAlloc(exchange->size);
        CHECK(HmmAlloc(SMALL) != NULL);
    }
    for (size_t i = 0; i < 3; i++) {
        HmmFree(blocks[i]);
    }
    uintptr_t first = blocks[1][0];
    blocks[1][0] = (exchange->flipped != 0 ? first : blocks[1][1]) ^ exchange->flipped;
    blocks[1][1] = (exchange->flipped != 0 ? blocks[1][1] : first) ^ exchange->flipped;
    for (size_t i = 0; i < 4; i++) {
        CHECK(HmmAlloc(exchange->size) != blocks[1]);
    }
}

static void words_that_change_together_are_a_fault(void) {
    const size_t sizes[] = {SMALL, LARGE};
    for (size_t i = 0; i < 2; i++) {
        for (uintptr_t flipped = 0; flipped <= 64; flipped += 16) {
            expect_fault(exchange_links, &(struct exchange){sizes[i], flipped},
                         i == 0 ? "alloc(@): damaged cached block: written to after it was freed"
                                : "alloc(@): damaged free block: written to after it was freed");
        }
    }
}

/* A merged block's header is no longer valid, not even with its old value. */
static void revive_merged(void *argument) {
    size_t size = *(size_t *)argument;
    make_row(size);
    HmmTrim();
    HmmFree(row.before);
    HmmFree(row.block);
    HmmTrim();
    uint64_t header;
    memcpy(&header, row.block - 8, sizeof header);
    CHECK(header == 0);
    unsigned char *whole = HmmAlloc(2 * size + 8);
    CHECK(whole == row.before);
    HmmFree(row.block);
}

static void a_merged_header_is_forgotten(void) {
    expect_fault(revive_merged, &(size_t){SMALL},
                 "HmmFree(@): not a block's start: 48 bytes into a used block of 88 bytes");
    expect_fault(revive_merged, &(size_t){LARGE},
                 "HmmFree(@): not a block's start: 5008 bytes into a used block of 10008 bytes");
}

static void allocate_damaged(void *argument) {
    make_row(LARGE);
    HmmFree(row.block);
    memset(row.block + *(size_t *)argument, 'x', 8);
    (void)HmmAlloc(LARGE);
}

static void overflow_into_free(void *unused) {
    (void)unused;
    make_row(LARGE);
    HmmFree(row.block);
    memset(row.before, 'x', LARGE + 1);
    (void)HmmAlloc(LARGE);
}

/* The free block behind, which the next small one is cut from. */
static void overflow_into_cut(void *argument) {
    memset(HmmAlloc(SMALL), 'x', SMALL + 1);
    (void)HmmAlloc(*(size_t *)argument);
}

static void print_damaged(void *unused) {
    (void)unused;
    memset(HmmAlloc(SMALL), 'x', SMALL + 1);
    HmmPrintFreelist(fopen("/dev/null", "w"));
}

static void damage_cached(void *argument) {
    const ptrdiff_t *offset = argument;
    make_row(SMALL);
    HmmFree(row.before);
    HmmFree(row.block);
    memset(row.block + *offset, 'x', 8);
    (void)HmmAlloc(SMALL);
    (void)HmmAlloc(SMALL);
}

static void a_write_to_a_free_block_is_a_fault(void) {
    const char *links = "HmmFree(@): damaged free block: written to after it was freed";
    expect_fault(write_after_free, &(size_t){0}, links);
    expect_fault(write_after_free, &(size_t){8}, links);
    expect_fault(write_after_free, &(size_t){16}, links);
    expect_fault(
        write_after_free, &(size_t){LARGE - 8},
        "HmmFree(@): damaged neighbour: the free block before it: written to after it was freed, or past the end "
        "of the block before that");
    expect_fault(allocate_damaged, &(size_t){0}, "alloc(@): damaged free block: written to after it was freed");
    expect_fault(overflow_into_free, NULL,
                 "alloc(@): damaged free block: its header is overwritten: past the end of the block before it");
    expect_fault(overflow_into_cut, &(size_t){SMALL},
                 "alloc(@): damaged free block: its header is overwritten: past the end of the block before it");
    expect_fault(overflow_into_cut, &(size_t){LARGE},
                 "alloc(@): damaged free block: its header is overwritten: past the end of the block before it");
    expect_fault(
        print_damaged, NULL,
        "HmmPrintFreelist(@): damaged free block: its header is overwritten: past the end of the block before it");
    expect_fault(damage_cached, &(ptrdiff_t){0}, "alloc(@): damaged cached block: written to after it was freed");
    expect_fault(damage_cached, &(ptrdiff_t){-8},
                 "alloc(@): damaged cached block: its header is overwritten: past the end of the block before it");
}

/* --- Forbidden calls ------------------------------------------------------------------------------------------ */

static int visit_and_allocate(const struct HmmBlock *block, void *context) {
    (void)block, (void)context;
    (void)HmmAlloc(10);
    return 0;
}

static int visit_and_free(const struct HmmBlock *block, void *context) {
    (void)context;
    HmmFree(block->ptr);
    return 0;
}

static int visit_and_walk(const struct HmmBlock *block, void *context) {
    (void)block, (void)context;
    return HmmWalk(visit_and_walk, NULL);
}

static void walk(void *visit) {
    make_row(SMALL);
    HmmWalk(*(int (**)(const struct HmmBlock *, void *))visit, NULL);
}

static void a_call_from_a_visit_is_a_fault(void) {
    int (*visits[])(const struct HmmBlock *, void *) = {visit_and_allocate, visit_and_free, visit_and_walk};
    expect_fault(walk, &visits[0], "alloc(0x0): called by a visit of HmmWalk");
    expect_fault(walk, &visits[1], "HmmFree(0x0): called by a visit of HmmWalk");
    expect_fault(walk, &visits[2], "HmmWalk(0x0): called by a visit of HmmWalk");
}

static void tell(const char *line) {
    dprintf(STDERR_FILENO, "told: %s\n", line);
}

static void free_twice_with_handler(void *unused) {
    (void)unused;
    CHECK(HmmSetFaultHandler(tell) == NULL);
    CHECK(HmmSetFaultHandler(tell) == tell);
    free_twice(&(size_t){SMALL});
}

static void a_fault_handler_has_the_line_before_the_end(void) {
    struct child_result result;
    child_run(&result, free_twice_with_handler, NULL);
    assert_int_equal(result.signal, SIGABRT);
    assert_true(text_matches(result.err, "told: mems: HmmFree(@): double free: a cached block of 40 bytes\n"));
}

/* --- The end of the program ----------------------------------------------------------------------------------- */

static void *sleep_on(void *unused) {
    pause();
    return unused;
}

/* Like a program that writes a crash report. */
static void allocate_and_leave(int signal) {
    (void)signal;
    void *small = HmmAlloc(SMALL);
    void *large = HmmAlloc(100 * LARGE);
    CHECK(small != NULL && large != NULL);
    HmmFree(small);
    HmmFree(large);
    _exit(42);
}

static int fault_inside(const struct HmmBlock *block, void *context) {
    HmmFree(block->ptr);
    return context != NULL;
}

static void die_with_handler(void *argument) {
    pthread_t thread;
    signal(SIGABRT, allocate_and_leave);
    CHECK(pthread_create(&thread, NULL, sleep_on, NULL) == 0);
    alarm(900);
    make_row(LARGE);
    switch (*(int *)argument) {
    case 0:
        HmmFree(row.block);
        HmmFree(row.block);
        break;
    case 1:
        memset(row.block, 'x', LARGE + 8);
        HmmFree(row.block);
        break;
    case 2:
        HmmFree(row.block);
        memset(row.block, 0, 16);
        HmmFree(row.after);
        break;
    default:
        HmmWalk(fault_inside, NULL);
    }
}

static void a_handler_of_the_abort_may_allocate(void) {
    for (int mistake = 0; mistake < 4; mistake++) {
        struct child_result result;
        child_run(&result, die_with_handler, &mistake);
        assert_int_equal(result.signal, 0);
        assert_int_equal(result.status, 42);
        assert_non_null(strstr(result.err, "mems: HmmFree("));
    }
}

static void fail_again(int signal) {
    (void)signal;
    HmmFree(row.block + 16);
}

static void die_twice(void *unused) {
    (void)unused;
    signal(SIGABRT, fail_again);
    make_row(SMALL);
    HmmFree(row.block + 16);
}

/* A program whose handler keeps making mistakes ends all the same. */
static void a_fault_in_the_handler_of_the_abort_ends_the_program(void) {
    struct child_result result;
    child_run(&result, die_twice, NULL);
    assert_int_equal(result.signal, SIGABRT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        PLAIN(a_double_free_is_a_fault),
        PLAIN(using_a_freed_block_is_a_fault),
        PLAIN(freeing_what_is_not_the_start_of_a_block_is_a_fault),
        PLAIN(freeing_a_foreign_pointer_is_a_fault),
        PLAIN(freeing_with_a_size_that_cannot_be_is_a_fault),
        PLAIN(a_damaged_header_is_a_fault_that_names_the_neighbour),
        PLAIN(a_write_to_a_free_block_is_a_fault),
        PLAIN(zeroes_over_a_link_are_a_fault),
        PLAIN(words_that_change_together_are_a_fault),
        PLAIN(a_merged_header_is_forgotten),
        PLAIN(a_call_from_a_visit_is_a_fault),
        PLAIN(a_fault_handler_has_the_line_before_the_end),
        PLAIN(a_handler_of_the_abort_may_allocate),
        PLAIN(a_fault_in_the_handler_of_the_abort_ends_the_program),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
