/*
 * cached_blocks_test.c - refills and flushes: where the blocks come from, in which order, and what a heap does before
 * it grows.
 */
#include "support/fresh.h"

#include "engine/slabs/lookup.h"
#include "engine/slabs/slab.h"
#include "support/engine_heap.h"
#include "support/engine_locked.h"
#include "support/thread.h"

#define SIZE 8192u /* few slots per slab */
#define BLOCKS 184u

static void *blocks[BLOCKS];

static void grow_mine(unsigned size_class) {
    lock_take(&heap_mine->lock);
    CHECK(heap_grow(heap_mine, size_class) != NULL);
    lock_give(&heap_mine->lock);
}

static unsigned half_capacity(unsigned size_class) {
    return (magazine_capacity(heap_mine, size_class) + 1) / 2;
}

static void a_refill_pops_from_the_lowest_address_up(void) {
    struct heap *heap = begin_heap();
    for (unsigned size_class = 0; size_class < SIZE_CLASSES; size_class++) {
        grow_mine(size_class);
        CHECK(refill_mine(size_class));
        void **bottom = heap->bottoms[size_class];
        unsigned count = magazine_count(heap, size_class);
        const char *start = bottom[count];
        CHECK(*bottom == NULL);
        CHECK(start == window_address(window_unit(start)));
        for (unsigned i = 0; i < count; i++) {
            CHECK((const char *)bottom[count - i] == start + (size_t)i * size_classes[size_class].size);
            CHECK_EQUAL(live_test(bottom[count - i]), !heap->checks_every);
        }
    }
    CHECK_VALID();
}

/* A heap that has nothing of a class grows, but not in a refill. */
static void a_refill_makes_no_slab(void) {
    begin_heap();
    for (unsigned size_class = 0; size_class < SIZE_CLASSES; size_class++) {
        CHECK(!refill_mine(size_class));
    }
    CHECK_EQUAL(spans.live_units, 0);
    CHECK_EQUAL(heap_mine->counters.refills, 0);
    CHECK_VALID();
}

/* Making a thread's heap may itself allocate, and so fill the magazine that is about to be refilled. */
static void a_refill_leaves_what_is_there(void) {
    struct heap *heap = begin_heap();
    for (unsigned size_class = 0; size_class < SIZE_CLASSES; size_class++) {
        grow_mine(size_class);
        CHECK(refill_mine(size_class));
        unsigned count = magazine_count(heap, size_class);
        void *top = heap->bottoms[size_class][count];
        CHECK(refill_mine(size_class));
        CHECK_EQUAL(magazine_count(heap, size_class), count);
        CHECK(heap->bottoms[size_class][count] == top);
    }
    CHECK_VALID();
}

/* BLOCKS blocks, with the first of each slab freed: so each slab has one free slot. Returns the number of slabs. */
static unsigned hold_slabs_with_one_free_slot(void) {
    begin_heap();
    for (unsigned i = 0; i < BLOCKS; i++) {
        blocks[i] = engine_alloc(SIZE);
    }
    flush_mine();
    unsigned slabs = 0;
    for (unsigned i = 0; i < BLOCKS; i += slab_of(blocks[i])->slots) {
        engine_free(blocks[i]);
        flush_mine();
        slabs++;
    }
    CHECK_VALID();
    return slabs;
}

/* A refill that needs more than one slab leaves no gap. */
static void a_refill_is_gathered_from_several_slabs(void) {
    CHECK(hold_slabs_with_one_free_slot() >= BLOCKS / 8);
    unsigned size_class = size_class_of(SIZE);
    CHECK(refill_mine(size_class));
    unsigned count = magazine_count(heap_mine, size_class);
    CHECK_EQUAL(count, half_capacity(size_class));
    CHECK(slab_of(heap_mine->bottoms[size_class][1]) != slab_of(heap_mine->bottoms[size_class][count]));
    CHECK_VALID();
}

/* Whatever there is goes first, even if it is little; only a refill that gets nothing lets the heap grow. */
static void a_refill_that_gets_little_is_enough(void) {
    unsigned slabs = hold_slabs_with_one_free_slot();
    unsigned size_class = size_class_of(SIZE);
    size_t units = spans.live_units;
    bool partial = false;
    for (unsigned taken = 0; taken < slabs; taken++) {
        uint64_t refills = heap_mine->counters.refills;
        void *block = engine_alloc(SIZE);
        CHECK_EQUAL(spans.live_units, units);
        partial |= heap_mine->counters.refills != refills &&
                   magazine_count(heap_mine, size_class) + 1 < half_capacity(size_class);
        void **bottom = heap_mine->bottoms[size_class];
        for (unsigned i = 1; i <= magazine_count(heap_mine, size_class); i++) {
            CHECK(bottom[i] != NULL && bottom[i] != block);
        }
        CHECK_VALID();
    }
    CHECK(partial);
    CHECK_EQUAL(magazine_count(heap_mine, size_class), 0);
    CHECK(engine_alloc(SIZE) != NULL);
    CHECK(spans.live_units > units);
    CHECK_VALID();
}

static void *free_all(void *unused) {
    (void)unused;
    for (unsigned i = 0; i < BLOCKS; i++) {
        engine_free(blocks[i]);
    }
    return NULL;
}

/* Before the heap grows it takes back what other threads have freed. */
static void a_refill_collects_the_inbox(void) {
    begin_heap();
    for (unsigned i = 0; i < BLOCKS; i++) {
        blocks[i] = engine_alloc(SIZE);
    }
    flush_mine();
    size_t units = spans.live_units;
    thread_run(free_all, NULL);
    for (unsigned i = 0; i < BLOCKS; i++) {
        blocks[i] = engine_alloc(SIZE);
        CHECK_AT_MOST(spans.live_units, units);
    }
    CHECK_VALID();
}

static void *hold_all(void *unused) {
    (void)unused;
    for (unsigned i = 0; i < BLOCKS; i++) {
        blocks[i] = engine_alloc(SIZE);
    }
    for (unsigned i = 0; i < BLOCKS; i += 2) {
        engine_free(blocks[i]);
    }
    return NULL;
}

static void a_refill_adopts(void) {
    thread_run(hold_all, NULL);
    begin_heap();
    size_t units = spans.live_units;
    for (unsigned i = 0; i < BLOCKS; i += 2) {
        blocks[i] = engine_alloc(SIZE);
    }
    CHECK_EQUAL(spans.live_units, units);
    CHECK(heap_mine->counters.adoptions > 0);
    CHECK_VALID();
}

static void a_flush_gives_everything_back(void) {
    begin_heap();
    for (unsigned i = 0; i < BLOCKS; i++) {
        blocks[i] = engine_alloc(SIZE);
    }
    free_all(NULL);
    unsigned size_class = size_class_of(SIZE);
    CHECK(cached_count(heap_mine, size_class) > 0);
    flush_mine();
    CHECK_EQUAL(cached_count(heap_mine, size_class), 0);
    for (unsigned i = 0; i < BLOCKS; i++) {
        struct block block = block_at(blocks[i]);
        CHECK(block.kind == BLOCK_FREE || block.state == BLOCK_STATE_FREE);
    }
    CHECK_VALID();
    check_nothing_left();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        IN_BOTH_MODES(a_refill_pops_from_the_lowest_address_up),
        IN_BOTH_MODES(a_refill_makes_no_slab),
        IN_BOTH_MODES(a_refill_leaves_what_is_there),
        IN_BOTH_MODES(a_refill_is_gathered_from_several_slabs),
        IN_BOTH_MODES(a_refill_that_gets_little_is_enough),
        IN_BOTH_MODES(a_refill_collects_the_inbox),
        IN_BOTH_MODES(a_refill_adopts),
        IN_BOTH_MODES(a_flush_gives_everything_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
