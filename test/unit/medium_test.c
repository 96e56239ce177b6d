/*
 * medium_test.c - blocks of 32 to 64 KiB in a process with one thread: which are slots of a slab, and which are large.
 */
#include "support/fresh.h"

#include "engine/calls/good_size.h"
#include "engine/heaps/heap.h"
#include "engine/tables/page_map.h"
#include "engine/tables/window.h"
#include "support/engine_heap.h"
#include "support/engine_locked.h"
#include "support/thread.h"

#define SIZE ((size_t)40 * KIB)
#define SHARE 32u /* cached large blocks that come before the first slab */

static void begin(void) {
    begin_heap();
    if (!root_medium()) {
        child_cannot();
    }
}

static bool in_slab(const void *block) {
    return entry_is_slab(page_map_load(window_unit(block)));
}

/* A block by malloc, whose usable size is what good_size has said. */
static void *allocate(size_t size) {
    const size_t good = good_size(size);
    void *block = engine_alloc(size);
    CHECK(block != NULL);
    CHECK_EQUAL(engine_usable_size("malloc_usable_size", block), good);
    return block;
}

/* Allocates and frees until the block is a slot. Returns how many were not. */
static unsigned large_before_slots(size_t size) {
    for (unsigned count = 0;; count++) {
        void *block = allocate(size);
        if (in_slab(block)) {
            engine_free(block);
            return count;
        }
        engine_free(block);
    }
}

static void blocks_that_are_not_freed_need_no_slab(void) {
    begin();
    for (unsigned i = 0; i < 4 * SHARE; i++) {
        CHECK(!in_slab(allocate(SIZE)));
    }
    CHECK_VALID();
}

/* Each class counts for itself. Nothing is cached for its first block, since a new slab takes what is. */
static void slots_follow_when_large_blocks_have_come_back(void) {
    begin();
    CHECK_EQUAL(large_before_slots(SIZE), 1 + SHARE);
    CHECK_EQUAL(large_before_slots(SIZE), 0);
    CHECK_EQUAL(large_before_slots(MEDIUM_MAX), 1 + SHARE);
    CHECK_EQUAL(large_before_slots(SMALL_MAX + 1), 1 + SHARE);
    CHECK_EQUAL(large_before_slots(MEDIUM_MAX), 0);
    CHECK_VALID();
    check_nothing_left();
}

/* Memory that must be zero, or aligned, is large, whatever malloc makes. */
static void only_malloc_takes_slots(void) {
    begin();
    large_before_slots(SIZE);
    void *zeroed = engine_alloc_zeroed(1, SIZE);
    void *aligned = engine_alloc_aligned(2 * GRANULE, SIZE);
    CHECK(!in_slab(zeroed) && !in_slab(aligned) && in_slab(engine_alloc(SIZE)));
    CHECK(!in_slab(engine_alloc(MEDIUM_MAX + 1)));
}

static void *use_large_blocks(void *slot) {
    void *block = allocate(SIZE);
    CHECK(!in_slab(block));
    engine_free(block);
    engine_free(slot);
    return NULL;
}

/* A second thread may free the slots of the first. */
static void several_threads_take_large_blocks(void) {
    begin();
    large_before_slots(SIZE);
    void *slot = engine_alloc(SIZE);
    CHECK(in_slab(slot));
    thread_run(use_large_blocks, slot);
    CHECK_VALID();
    check_nothing_left();
}

/* realloc keeps a slot for every size of its class, and for smaller ones down to half. */
static void a_slot_is_resized_within_its_class(void) {
    begin();
    large_before_slots(SIZE);
    unsigned char *slot = memset(engine_alloc(SIZE), 7, SIZE);
    const size_t room = engine_usable_size("malloc_usable_size", slot);
    CHECK(in_slab(slot));
    CHECK(engine_realloc("realloc", slot, room) == slot);
    CHECK(engine_realloc("realloc", slot, room / 2 + 1) == slot);
    unsigned char *larger = engine_realloc("realloc", slot, room + 1);
    CHECK(larger != slot && larger[0] == 7 && larger[SIZE - 1] == 7);
    CHECK_VALID();
    engine_free(larger);
    check_nothing_left();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        IN_BOTH_MODES(blocks_that_are_not_freed_need_no_slab),
        IN_BOTH_MODES(slots_follow_when_large_blocks_have_come_back),
        FRESH(only_malloc_takes_slots),
        IN_BOTH_MODES(several_threads_take_large_blocks),
        IN_BOTH_MODES(a_slot_is_resized_within_its_class),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
