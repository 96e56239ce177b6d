/*
 * abandoned_test.c - slabs that ended threads leave behind: adopted, freed into, allocated from, never lost; and the
 * shared slabs.
 */
#include "support/fresh.h"

#include "engine/heaps/heap.h"
#include "engine/root/root.h"
#include "engine/slabs/abandoned.h"
#include "engine/slabs/lookup.h"
#include "engine/slabs/slab.h"
#include "engine/upkeep/page_purge.h"
#include "support/engine_heap.h"
#include "support/engine_locked.h"
#include "support/marked.h"
#include "support/thread.h"

#define BLOCKS 3000

/* As many blocks of a class as a thread takes from the shared slab; and of all classes together. */
#define FEW 4u
#define LITTLE (8 * FEW)

static void *blocks[BLOCKS];

struct order {
    size_t size;
    size_t alloc; /* this many blocks, into blocks[0] and so on */
    size_t keep;  /* the thread frees those from here on */
};

static void *allocate(void *argument) {
    const struct order *order = argument;
    for (size_t i = 0; i < order->alloc; i++) {
        blocks[i] = engine_alloc(order->size);
        CHECK(blocks[i] != NULL);
    }
    for (size_t i = order->keep; i < order->alloc; i++) {
        engine_free(blocks[i]);
    }
    return NULL;
}

static void thread_leaves(size_t size, size_t alloc, size_t keep) {
    struct order order = {size, alloc, keep};
    thread_run(allocate, &order);
    CHECK_VALID();
}

static unsigned available(size_t size) {
    return atomic_load(&abandoned[size_class_of(size)].available);
}

static uint32_t heap_id_of(const void *block) {
    return entry_heap(page_map_load(window_unit(block)));
}

/* This thread's frees do not make it adopt a slab. */
static void adopt_nothing(void) {
    struct heap *heap = begin_heap();
    for (unsigned size_class = 0; size_class < SIZE_CLASSES; size_class++) {
        heap->classes[size_class].strays = STRAYS_MAX;
    }
}

static void an_ended_thread_leaves_the_slabs_in_use_and_no_others(void) {
    adopt_nothing();
    thread_leaves(2112, 300, 3);
    CHECK_EQUAL(spans.live_units, slab_of(blocks[0])->span.units);
    CHECK_EQUAL(available(2112), 1);
    CHECK_EQUAL(slab_free_slots(slab_of(blocks[0])), slab_of(blocks[0])->slots - 3);
    for (int i = 0; i < 3; i++) {
        CHECK_EQUAL(heap_id_of(blocks[i]), HEAP_ABANDONED);
        CHECK_EQUAL(block_at(blocks[i]).state, BLOCK_STATE_LIVE);
        engine_free(blocks[i]);
    }
    CHECK_EQUAL(available(2112), 0);
    check_nothing_left();
}

/* Of the slabs that a thread leaves empty, one of each small class stays until another has free slots. */
static void the_next_thread_gets_a_spare_slab(void) {
    adopt_nothing();
    const size_t slots = size_classes[size_class_of(2112)].slots;
    thread_leaves(2112, 3 * slots, 0);
    CHECK_EQUAL(available(2112), 1);
    CHECK_EQUAL(spans.live_units, 1);
    thread_leaves(2112, slots, slots);
    CHECK_EQUAL(spans.live_units, 1); /* that one, now full */
    CHECK_EQUAL(available(2112), 0);
    thread_leaves(2112, 1, 0);
    CHECK_EQUAL(spans.live_units, 2);
    thread_leaves(2112, 2, 1); /* it is taken, and left with one block */
    CHECK_EQUAL(spans.live_units, 2);
    CHECK_EQUAL(available(2112), 1);
    thread_leaves(2112, slots, 0); /* none stays beside that */
    CHECK_EQUAL(spans.live_units, 2);
    thread_leaves(20000, 10, 0); /* none of a larger class */
    CHECK_EQUAL(available(20000), 0);
    CHECK_VALID();
}

static void a_spare_slab_goes_when_another_has_room_or_memory_goes_back(void) {
    adopt_nothing();
    const size_t slots = size_classes[size_class_of(2112)].slots;
    thread_leaves(2112, slots, slots);
    void *block = blocks[0];
    const struct slab *full = slab_of(block);
    thread_leaves(2112, 1, 0);
    CHECK_EQUAL(spans.live_units, 2);
    engine_free(block);
    CHECK_EQUAL(spans.live_units, 1);
    CHECK(slabs_first_with_room(&abandoned[size_class_of(2112)].slabs) == full);
    CHECK_VALID();
    thread_leaves(4096, 1, 0);
    CHECK_EQUAL(available(4096), 1);
    abandoned_drop_empty();
    CHECK_EQUAL(available(4096), 0);
    CHECK_EQUAL(spans.live_units, 1);
    thread_leaves(4096, 1, 0);
    CHECK(page_purge_all() != 0);
    CHECK_EQUAL(spans.live_units, 1);
    CHECK_EQUAL(available(2112), 1); /* it has blocks */
    CHECK_VALID();
}

static void a_heap_adopts_before_it_makes_a_slab(void) {
    thread_leaves(2112, 10, 10);
    const struct slab *slab = slab_of(blocks[0]);
    size_t units = spans.live_units;
    void *block = engine_alloc(2112);
    CHECK(slab_of(block) == slab);
    CHECK_EQUAL(heap_id_of(blocks[0]), heap_mine->id);
    CHECK_EQUAL(heap_mine->counters.adoptions, 1);
    CHECK_EQUAL(available(2112), 0);
    CHECK_EQUAL(spans.live_units, units);
    CHECK_VALID();
    for (int i = 0; i < 10; i++) {
        engine_free(blocks[i]);
    }
    CHECK_EQUAL(heap_mine->counters.remote_frees, 0); /* what was in it belongs to this heap */
    engine_free(block);
    check_nothing_left();
}

static void a_full_slab_is_adopted_once_it_has_room(void) {
    adopt_nothing();
    size_t slots = size_classes[size_class_of(4096)].slots;
    thread_leaves(4096, slots, slots);
    CHECK_EQUAL(available(4096), 0);
    CHECK(abandoned_adopt(size_class_of(4096), 1) == NULL);
    engine_free(blocks[5]);
    CHECK_EQUAL(available(4096), 1);
    CHECK_VALID();
    CHECK(engine_alloc(4096) == blocks[5]);
    CHECK_EQUAL(heap_id_of(blocks[0]), heap_mine->id);
    for (size_t i = 0; i < slots; i++) {
        engine_free(blocks[i]);
    }
    check_nothing_left();
}

/* From then on it frees its own blocks. The slab may be full. */
static void a_thread_adopts_the_first_slab_that_it_frees_into(void) {
    begin_heap();
    const size_t slots = size_classes[size_class_of(4096)].slots;
    thread_leaves(4096, 5 * slots, 5 * slots);
    CHECK_EQUAL(slab_free_slots(slab_of(blocks[0])), 0);
    for (size_t i = 0; i < slots; i++) {
        engine_free(blocks[i]);
        CHECK_EQUAL(heap_id_of(blocks[i]), heap_mine->id);
        CHECK_VALID();
    }
    CHECK_EQUAL(heap_mine->counters.adoptions, 1);
    CHECK_EQUAL(heap_mine->counters.remote_frees, 1); /* as it seemed */
    /* A thread that only frees adopts nothing more. */
    for (size_t i = 0; i < slots / 2; i++) {
        engine_free(blocks[slots + i]);
    }
    CHECK_EQUAL(heap_id_of(blocks[slots]), HEAP_ABANDONED);
    CHECK_EQUAL(heap_mine->counters.adoptions, 1);
    /* A thread that allocates does. */
    for (uint64_t refills = heap_mine->counters.refills; heap_mine->counters.refills == refills;) {
        CHECK(engine_alloc(4096) != NULL);
    }
    flush_mine();
    CHECK(heap_slab_with_room(heap_mine, size_class_of(4096)) != NULL);
    _Static_assert(STRAYS_MAX == 2, "at the second");
    engine_free(blocks[3 * slots]);
    CHECK_EQUAL(heap_id_of(blocks[2 * slots]), HEAP_ABANDONED);
    CHECK_EQUAL(slab_free_slots(slab_of(blocks[2 * slots])), 0);
    engine_free(blocks[2 * slots]);
    CHECK_EQUAL(heap_id_of(blocks[2 * slots]), heap_mine->id);
    CHECK_EQUAL(heap_id_of(blocks[3 * slots]), HEAP_ABANDONED);
    CHECK_VALID();
}

static void every_block_of_many_abandoned_slabs_can_be_freed_in_any_order(void) {
    adopt_nothing();
    thread_leaves(208, BLOCKS, BLOCKS);
    for (size_t left = BLOCKS; left; left--) {
        size_t i = random_below(&fresh_random, left);
        engine_free(blocks[i]);
        blocks[i] = blocks[left - 1];
        if (left % 64 == 0) {
            CHECK_VALID();
        }
    }
    abandoned_drop_empty();
    CHECK_EQUAL(spans.live_units, 0);
    check_nothing_left();
}

/* The work of a thread that cannot get a heap. */
static void blocks_come_from_abandoned_slabs_without_a_heap(void) {
    CHECK(root_start());
    unsigned size_class = size_class_of(2000);
    size_t slots = size_classes[size_class].slots;
    thread_leaves(2000, 3, 3);
    const struct slab *slab = slab_of(blocks[0]);
    for (size_t i = 3; i < 3 * slots; i++) {
        blocks[i] = shared_alloc(size_classes[size_class].size);
        CHECK_EQUAL(slab_of(blocks[i]) == slab, i < slots);
        CHECK_EQUAL(block_at(blocks[i]).state, BLOCK_STATE_LIVE);
        CHECK_EQUAL(heap_id_of(blocks[i]), HEAP_ABANDONED);
        memset(blocks[i], (int)i, 2000);
        CHECK_VALID();
    }
    CHECK_EQUAL(available(2000), 0);
    for (size_t i = 0; i < 3 * slots; i++) {
        CHECK(i < 3 || *(unsigned char *)blocks[i] == (unsigned char)i);
        CHECK_EQUAL(abandoned_free(blocks[i]), ABANDONED_FREED);
        CHECK_VALID();
    }
    CHECK_EQUAL(spans.live_units, 0);
}

/* A few blocks of several sizes, by one thread of several, which then frees the last of each. */
static void *allocate_a_little(void *unused) {
    (void)unused;
    for (size_t i = 0; i < LITTLE; i++) {
        blocks[i] = engine_alloc(1 + i / FEW * 32);
        memset(blocks[i], 1, 1 + i / FEW * 32);
        CHECK_EQUAL(heap_id_of(blocks[i]), HEAP_ABANDONED);
        CHECK_EQUAL((uintptr_t)blocks[i] % 64, 0);
        CHECK_EQUAL(engine_usable_size("malloc_usable_size", blocks[i]) % 64, 0);
    }
    CHECK(engine_realloc("realloc", blocks[0], 1) == blocks[0]);
    CHECK(engine_realloc("realloc", blocks[0], 9) == blocks[0]);
    size_t units = spans.live_units;
    void *more = engine_alloc(1);
    CHECK_EQUAL(heap_id_of(more), heap_mine->id);
    CHECK_EQUAL(spans.live_units, units + 1);
    engine_free(more);
    more = engine_alloc(2000);
    CHECK_EQUAL(heap_id_of(more), HEAP_ABANDONED);
    engine_free(more);
    more = engine_alloc(2100);
    CHECK_EQUAL(heap_id_of(more), heap_mine->id);
    engine_free(more);
    for (size_t i = FEW - 1; i < LITTLE; i += FEW) {
        engine_free(blocks[i]);
    }
    return NULL;
}

static void a_thread_beside_others_has_its_first_blocks_from_the_shared_slab(void) {
    engine_free(engine_alloc(1));
    CHECK_EQUAL(heap_id_of(engine_alloc(1)), heap_mine->id); /* alone */
    thread_run(allocate_a_little, NULL);
    CHECK_VALID();
    const struct slab *shared = abandoned[size_class_of(64)].shared;
    CHECK(shared == slab_of(blocks[0]));
    CHECK_EQUAL(available(64), 0);
    void *own = engine_alloc(64);
    CHECK(slab_of(own) != shared); /* which is not adopted */
    abandoned_drop_empty();
    thread_run(allocate_a_little, NULL);
    CHECK(slab_of(blocks[0]) == shared);
    CHECK_EQUAL(slab_count_live(shared), 2 * (FEW - 1) * 2);
    CHECK_EQUAL(heap_mine->classes[size_class_of(64)].strays, 0);
    engine_free(blocks[0]);
    engine_free(blocks[1]);
    CHECK_EQUAL(heap_id_of(blocks[0]), HEAP_ABANDONED); /* nor for a free */
    CHECK_VALID();
}

static void *allocate_one(void *unused) {
    (void)unused;
    CHECK(engine_alloc(100) != NULL);
    return NULL;
}

/* There is no memory for a shared slab, but an abandoned one has room. */
static void without_a_shared_slab_a_thread_adopts(void) {
    thread_leaves(100, 10, 3);
    while (engine_alloc(1000) != NULL) {
        continue;
    }
    thread_run(allocate_one, NULL);
    CHECK_EQUAL(available(100), 1);
    CHECK_VALID();
}

static void a_shared_slab_that_is_empty_goes_back_with_its_memory_and_one_that_is_full_is_left(void) {
    CHECK(root_start());
    const struct abandoned *of = &abandoned[size_class_of(256)];
    size_t slots = size_classes[size_class_of(256)].slots;
    void *block = shared_alloc(250);
    const struct slab *shared = of->shared;
    CHECK(shared == slab_of(block));
    abandoned_drop_empty(); /* it is not */
    CHECK_EQUAL(abandoned_free(block), ABANDONED_FREED);
    CHECK_VALID();
    CHECK(of->shared == shared && shared_alloc(250) == block);
    CHECK_EQUAL(abandoned_free(block), ABANDONED_FREED);
    CHECK_EQUAL(page_purge_all(), 1);
    CHECK(of->shared == NULL);
    CHECK_EQUAL(spans.live_units, 0);
    CHECK_EQUAL(abandoned_free(shared_alloc(250)), ABANDONED_FREED);
    abandoned_drop_empty();
    CHECK(of->shared == NULL);
    CHECK_EQUAL(spans.live_units, 0);
    for (size_t i = 0; i < slots; i++) {
        blocks[i] = shared_alloc(250);
    }
    CHECK(of->shared == NULL);
    CHECK_VALID();
    CHECK_EQUAL(abandoned_free(blocks[7]), ABANDONED_FREED);
    CHECK_EQUAL(available(256), 1);
    CHECK(shared_alloc(256) == blocks[7]);
    CHECK_EQUAL(available(256), 0);
    CHECK_VALID();
    CHECK_EQUAL(abandoned_free(blocks[3]), ABANDONED_FREED);
    block = engine_alloc(256); /* its slab is adopted */
    CHECK(block == blocks[3] && heap_id_of(block) == heap_mine->id);
    CHECK_VALID();
}

static void an_adopted_slab_is_not_abandoned(void) {
    thread_leaves(320, 2, 2);
    void *block = engine_alloc(320);
    CHECK(slab_of(block) == slab_of(blocks[0]));
    CHECK_EQUAL(abandoned_free(blocks[0]), ABANDONED_ADOPTED);
    CHECK_EQUAL(block_at(blocks[0]).state, BLOCK_STATE_LIVE);
    CHECK_VALID();
}

static struct marked kept[200];

/* Thread after thread frees what others left and leaves some of its own: contents are intact, and nothing leaks. */
static void *inherit(void *unused) {
    (void)unused;
    for (int step = 0; step < 600; step++) {
        struct marked *block = &kept[random_below(&fresh_random, 200)];
        if (block->memory != NULL) {
            CHECK(marked_intact(block, SIZE_MAX));
            engine_free(block->memory);
            block->memory = NULL;
        } else {
            block->size = 1 + random_below(&fresh_random, (size_t)16 << random_below(&fresh_random, 10));
            block->mark = random_next(&fresh_random);
            block->memory = engine_alloc(block->size);
            marked_fill(block);
        }
    }
    return NULL;
}

static void blocks_outlive_generations_of_threads(void) {
    for (int generation = 0; generation < 60; generation++) {
        thread_run(inherit, NULL);
        CHECK_VALID();
    }
    CHECK_EQUAL(heaps.made, 1);
    CHECK_EQUAL(heaps.started, 60);
    for (size_t i = 0; i < 200; i++) {
        engine_free(kept[i].memory);
    }
    check_nothing_left();
}

static void a_block_of_an_abandoned_slab_freed_twice_is_a_fault(void) {
    adopt_nothing();
    thread_leaves(64, 5, 5);
    engine_free(blocks[1]);
    engine_free(blocks[1]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        IN_BOTH_MODES(an_ended_thread_leaves_the_slabs_in_use_and_no_others),
        IN_BOTH_MODES(the_next_thread_gets_a_spare_slab),
        IN_BOTH_MODES(a_spare_slab_goes_when_another_has_room_or_memory_goes_back),
        IN_BOTH_MODES(a_heap_adopts_before_it_makes_a_slab),
        IN_BOTH_MODES(a_full_slab_is_adopted_once_it_has_room),
        IN_BOTH_MODES(a_thread_adopts_the_first_slab_that_it_frees_into),
        IN_BOTH_MODES(every_block_of_many_abandoned_slabs_can_be_freed_in_any_order),
        FRESH(blocks_come_from_abandoned_slabs_without_a_heap),
        IN_BOTH_MODES(a_thread_beside_others_has_its_first_blocks_from_the_shared_slab),
        FRESH_WITH(without_a_shared_slab_a_thread_adopts, "window=4m"),
        IN_BOTH_MODES(a_shared_slab_that_is_empty_goes_back_with_its_memory_and_one_that_is_full_is_left),
        FRESH(an_adopted_slab_is_not_abandoned),
        IN_BOTH_MODES(blocks_outlive_generations_of_threads),
        FRESH_FAULT(a_block_of_an_abandoned_slab_freed_twice_is_a_fault, "check=every",
                    "free(@): double free: slot 1 of a 64-byte slab, free"),
        FRESH_FAULT(a_block_of_an_abandoned_slab_freed_twice_is_a_fault, "check=deferred",
                    "free(@): double free: slot 1 of a 64-byte slab, free"),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
