/*
 * borrow_test.c - blocks that a class borrows from a larger one before it touches fresh pages.
 */
#include "support/fresh.h"

#include <string.h>

#include "engine/calls/good_size.h"
#include "engine/calls/realloc.h"
#include "engine/heaps/heap.h"
#include "engine/heaps/magazine.h"
#include "engine/slabs/lookup.h"
#include "support/engine_heap.h"
#include "support/engine_locked.h"

#define SIZE ((size_t)1900)   /* the class of 1920 bytes */
#define LARGER ((size_t)2048) /* the one above */
#define BORROWED 128u         /* the most blocks that a class borrows in a row */

static size_t usable(const void *block) {
    return engine_usable_size("test", block);
}

/* A freed block of a size, on top of its class's magazine. */
static void *freed(size_t size) {
    void *block = engine_alloc(size);
    memset(block, 0xff, size);
    engine_free(block);
    return block;
}

/* Leaves the class of a size with a slab of which no slot is free that was used before. */
static void use_up(size_t size) {
    (void)engine_alloc(size);
    while (magazine_count(heap_mine, size_class_of(size)) != 0) {
        (void)engine_alloc(size);
    }
}

static void a_class_without_used_slots_borrows_a_slightly_larger_block(void) {
    begin_heap();
    use_up(SIZE);
    void *block = freed(LARGER);
    CHECK(engine_alloc(SIZE) == block);
    CHECK_EQUAL(usable(block), LARGER);
    CHECK_VALID();
    engine_free_sized("test", block, SIZE, 1);
    CHECK(engine_alloc(LARGER) == block);
    engine_free(block);
    CHECK_VALID();
}

static void a_borrowed_block_of_calloc_is_zero_to_its_end(void) {
    begin_heap();
    use_up(SIZE);
    char *block = freed(LARGER);
    CHECK(engine_alloc_zeroed(SIZE, 1) == block);
    for (size_t i = 0; i < usable(block); i++) {
        CHECK_EQUAL(block[i], 0);
    }
}

static void much_larger_blocks_and_smaller_ones_are_not_borrowed(void) {
    begin_heap();
    use_up(SIZE);
    freed(SIZE + SIZE / 2 + 100);
    freed(SIZE - 200);
    CHECK_EQUAL(usable(engine_alloc(SIZE)), good_size(SIZE));
}

/* So that realloc leaves it where it is, and a sized free does not report it. */
static void a_request_is_above_half_of_what_it_borrows(void) {
    begin_heap();
    for (unsigned size_class = 0; size_class + 1 < MEDIUM_CLASS; size_class++) {
        const size_t size = size_classes[size_class].size + 1u;
        for (unsigned larger = MEDIUM_CLASS - 1; larger > size_class + 1; larger--) {
            use_up(size);
            freed(size_classes[larger].size);
            void *other = engine_alloc(size);
            CHECK(size > realloc_keeps_from(usable(other)));
            CHECK(engine_realloc("test", other, size) == other);
            engine_free_sized("test", other, size, 1);
        }
    }
    CHECK_VALID();
}

static void nothing_is_borrowed_while_the_class_has_used_slots(void) {
    begin_heap();
    void *own = freed(SIZE);
    flush_mine();
    void *larger = freed(LARGER);
    CHECK(engine_alloc(SIZE) == own);
    CHECK(engine_alloc(LARGER) == larger);
}

static void aligned_requests_borrow_nothing(void) {
    begin_heap();
    use_up(SIZE);
    freed(LARGER);
    void *block = engine_alloc_aligned(128, SIZE);
    CHECK_EQUAL((uintptr_t)block % 128, 0);
    CHECK_EQUAL(usable(block), good_size(SIZE));
}

/* A loop that allocates and frees one block would otherwise take the slow path each time. */
static void a_class_that_has_borrowed_many_blocks_gets_a_magazine(void) {
    begin_heap();
    use_up(SIZE);
    freed(LARGER);
    for (unsigned i = 0; i < BORROWED; i++) {
        void *block = engine_alloc(SIZE);
        CHECK_EQUAL(usable(block), LARGER);
        engine_free(block);
    }
    void *block = engine_alloc(SIZE);
    CHECK_EQUAL(usable(block), good_size(SIZE));
    CHECK_VALID();
}

static void a_class_without_a_slab_borrows_nothing(void) {
    begin_heap();
    freed(LARGER);
    CHECK_EQUAL(usable(engine_alloc(SIZE)), good_size(SIZE));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        FRESH(a_class_without_used_slots_borrows_a_slightly_larger_block),
        FRESH(a_borrowed_block_of_calloc_is_zero_to_its_end),
        FRESH(much_larger_blocks_and_smaller_ones_are_not_borrowed),
        FRESH(a_request_is_above_half_of_what_it_borrows),
        FRESH(nothing_is_borrowed_while_the_class_has_used_slots),
        FRESH(a_class_without_a_slab_borrows_nothing),
        FRESH(aligned_requests_borrow_nothing),
        FRESH(a_class_that_has_borrowed_many_blocks_gets_a_magazine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
