/*
 * batch_test.c - many blocks of a size at once, and their true size.
 */
#include "support/fresh.h"

#include <errno.h>
#include <stdint.h>

#include "engine/calls/batch.h"
#include "engine/calls/good_size.h"
#include "engine/heaps/heap.h"
#include "support/engine_heap.h"
#include "support/engine_locked.h"
#include "support/marked.h"
#include "support/thread.h"

#define BLOCKS 5000u

static void *blocks[BLOCKS];

/* A block's marks: pages apart in those that begin at pages, so that two of one size cannot overlap unseen. */
static struct marked marks(size_t i, size_t size) {
    return (struct marked){.memory = blocks[i], .size = size, .mark = i, .stride = 4 * KIB, .dense = 4 * KIB};
}

static void fill(size_t size, size_t count) {
    CHECK_EQUAL(batch_alloc(size, count, blocks), count);
    for (size_t i = 0; i < count; i++) {
        CHECK(engine_usable_size("test", blocks[i]) >= size);
        struct marked marked = marks(i, size);
        marked_fill(&marked);
    }
    for (size_t i = 0; i < count; i++) {
        struct marked marked = marks(i, size);
        CHECK(marked_intact(&marked, SIZE_MAX));
    }
}

static void batches_of_any_size_and_number_are_blocks_apart(void) {
    static const size_t sizes[] = {0, 1, 64, 500, 4000, 32768, 32769, 100000};
    static const size_t counts[] = {0, 1, 2, 15, 16, 17, 63, 64, 255, 256, 257, 1000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        for (size_t j = 0; j < sizeof counts / sizeof *counts; j++) {
            fill(sizes[i], counts[j]);
            CHECK_VALID();
            batch_free("free", blocks, counts[j]);
            CHECK_VALID();
        }
    }
    check_nothing_left();
}

static void blocks_of_a_batch_are_freed_one_by_one_and_others_in_a_batch(void) {
    fill(80, BLOCKS);
    for (size_t i = 0; i < BLOCKS; i += 2) {
        engine_free(blocks[i]);
        blocks[i] = i % 3 == 0 ? NULL : engine_alloc(i % 5 == 0 ? 50000 : i);
    }
    batch_free("free", blocks, BLOCKS);
    CHECK_VALID();
    check_nothing_left();
}

static void *free_all(void *unused) {
    (void)unused;
    engine_free(engine_alloc(80));
    batch_free("free", blocks, BLOCKS);
    return NULL;
}

static void another_thread_frees_a_batch(void) {
    fill(80, BLOCKS);
    thread_run(free_all, NULL);
    CHECK_VALID();
    fill(80, BLOCKS);
    batch_free("free", blocks, BLOCKS);
    check_nothing_left();
}

/* A batch counts as many calls as it has blocks, so upkeep and everything else that a beat triggers is as frequent. */
static void a_batch_counts_its_bytes(void) {
    struct heap *heap = begin_heap();
    fill(64, 10);
    const size_t until = heap->until_beat;
    CHECK_EQUAL(batch_alloc(64, 32, blocks), 32);
    CHECK_EQUAL(until - heap->until_beat, 32 * 64);
    const uint32_t calls = heap->slow_calls;
    CHECK_EQUAL(batch_alloc(1000, BLOCKS, blocks), BLOCKS);
    CHECK(heap->slow_calls - calls >= BLOCKS * 1000 / HEAP_BEAT);
}

static void a_batch_ends_where_memory_does(void) {
    size_t got = batch_alloc(30000, BLOCKS, blocks);
    CHECK(got > 0 && got < BLOCKS && errno == ENOMEM);
    CHECK_VALID();
    batch_free("free", blocks, got);
    check_nothing_left();
    CHECK_EQUAL(batch_alloc(SIZE_MAX, 2, blocks), 0);
}

static void good_sizes_are_what_blocks_have(void) {
    for (size_t size = 0; size < (size_t)200 << 20; size += 1 + size / 7) {
        void *block = engine_alloc(size);
        CHECK_EQUAL(good_size(size), engine_usable_size("test", block));
        CHECK(good_size(size) >= size && good_size(good_size(size)) == good_size(size));
        engine_free(block);
    }
    CHECK_EQUAL(good_size(SIZE_MAX), SIZE_MAX);
}

/* All of the bytes may be written, and any number from the request to these may be freed. */
static void blocks_of_at_least_are_freed_with_any_size_up_to_what_they_have(void) {
    for (size_t size = 0; size < (size_t)100 << 20; size += 1 + size / 7) {
        for (unsigned quarters = 0; quarters <= 4; quarters++) {
            size_t usable = 0;
            unsigned char *block = alloc_at_least(size, &usable);
            CHECK(usable >= size && usable <= engine_usable_size("test", block));
            memset(block, 1, size % 4096); /* not all: the sizes are gigabytes together */
            memset(block + size, 1, usable - size);
            engine_free_sized("free_sized", block, size + (usable - size) / 4 * quarters, 0);
            engine_free_sized("free_sized", alloc_at_least(size, NULL), size, 0);
        }
    }
    check_nothing_left();
}

static void free_one_twice(void) {
    fill(80, 2000);
    blocks[1999] = blocks[7];
    batch_free("free", blocks, 2000);
}

static void free_one_of_the_stack(void) {
    fill(80, 2000);
    blocks[1500] = &(int){0};
    batch_free("free", blocks, 2000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        IN_BOTH_MODES(batches_of_any_size_and_number_are_blocks_apart),
        IN_BOTH_MODES(blocks_of_a_batch_are_freed_one_by_one_and_others_in_a_batch),
        IN_BOTH_MODES(another_thread_frees_a_batch),
        IN_BOTH_MODES(a_batch_counts_its_bytes),
        FRESH_WITH(a_batch_ends_where_memory_does, "limit=20m,limit_soft=20m"),
        FRESH(good_sizes_are_what_blocks_have),
        FRESH(blocks_of_at_least_are_freed_with_any_size_up_to_what_they_have),
        FRESH_WITH(blocks_of_at_least_are_freed_with_any_size_up_to_what_they_have, "sample=1"),
        FRESH_WITH(blocks_of_at_least_are_freed_with_any_size_up_to_what_they_have, "harden=light"),
        FRESH_WITH(blocks_of_at_least_are_freed_with_any_size_up_to_what_they_have, "harden=full"),
        FRESH_FAULT(free_one_twice, "", "free(@): double free: slot # of a 80-byte slab, cached"),
        FRESH_FAULT(free_one_of_the_stack, "",
                    "free(@): not from this heap: outside the heap: from another allocator, a stack, or static data"),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
