/*
 * depot_test.c - a heap's depot of small blocks: when magazines come back, when they are given up; and the sweep, which
 * empties magazines.
 */
#include "support/fresh.h"

#include <errno.h>

#include "engine/heaps/heap.h"
#include "engine/memory/span.h"
#include "engine/slabs/lookup.h"
#include "engine/tables/metadata.h"
#include "os/os.h"
#include "support/clock.h"
#include "support/engine_heap.h"
#include "support/engine_locked.h"
#include "support/thread.h"

/* Frees as many blocks of 64 bytes, allocated together, as it takes to store `stock` magazines; the rest stays in
 * the magazine. The first is freed first. */
enum { MOST = 255, STORED = 192, KEPT = MOST - STORED + 1, BLOCKS_MAX = 8 * STORED + MOST };
static void *freed[BLOCKS_MAX];

static struct heap *store(unsigned stock) {
    struct heap *heap = begin_heap();
    for (unsigned i = 0; i < BLOCKS_MAX; i++) {
        freed[i] = engine_alloc(64);
        if (i % 256 == 0) {
            CHECK(engine_alloc(64) != NULL); /* stays, and with it the slab */
        }
    }
    dispose_mine();
    for (unsigned i = 0; i < stock * STORED + KEPT; i++) {
        engine_free(freed[i]);
    }
    CHECK_EQUAL(heap->classes[size_class_of(64)].stock.count, stock);
    CHECK_EQUAL(magazine_count(heap, size_class_of(64)), KEPT);
    CHECK_VALID();
    return heap;
}

/* As a pass of upkeep does it. */
static void decay(struct heap *heap, uint64_t now_ms) {
    lock_take(&heap->lock);
    size_t units = depot_decay(heap, now_ms);
    lock_give(&heap->lock);
    span_purge(units);
}

static void check_state(unsigned first, unsigned end, enum block_state expected) {
    for (unsigned i = first; i < end; i++) {
        CHECK_EQUAL(block_at(freed[i]).state, expected);
    }
}

static void what_is_stored_comes_back_in_order(void) {
    struct heap *heap = store(3);
    check_state(0, 3 * STORED, BLOCK_STATE_CACHED);
    for (unsigned i = 3 * STORED + KEPT; i-- > 0;) {
        CHECK(engine_alloc(64) == freed[i]);
    }
    CHECK_EQUAL(depot_bytes(&heap->depot), 0);
    CHECK_VALID();
}

static void a_heap_that_grows_flushes(void) {
    struct heap *heap = store(7);
    uint64_t flushes = heap->counters.flushes;
    CHECK(engine_alloc(1000) != NULL);
    CHECK_EQUAL(heap->counters.flushes, flushes + 7);
    CHECK_EQUAL(depot_bytes(&heap->depot), 0);
    check_state(0, 7 * STORED, BLOCK_STATE_FREE);
    CHECK_VALID();
}

/* A growing heap may keep less than an eighth of its slots. */
static void little_is_kept_when_the_heap_grows(void) {
    struct heap *heap = store(1);
    CHECK(engine_alloc(1000) != NULL);
    CHECK_EQUAL(heap->classes[size_class_of(64)].stock.count, 1);
    CHECK_VALID();
}

static void grow_until_swept(const struct heap *heap) {
    for (size_t at = heap->flush_at; heap->flush_at == at;) {
        CHECK(engine_alloc(1000) != NULL);
    }
}

/* One growth establishes that a class is idle, the next takes what it has. */
static void what_is_idle_while_the_heap_grows_goes_back(void) {
    const unsigned busy = size_class_of(200);
    struct heap *heap = store(0);
    grow_until_swept(heap);
    CHECK_EQUAL(magazine_count(heap, size_class_of(64)), KEPT);
    CHECK(engine_alloc(200) != NULL);
    unsigned count = magazine_count(heap, busy);
    CHECK(count > 0);
    size_t grown = heap->slab_bytes;
    grow_until_swept(heap);
    CHECK(heap->slab_bytes >= grown + MIB);
    CHECK_EQUAL(magazine_count(heap, size_class_of(64)), 0);
    CHECK_EQUAL(magazine_count(heap, busy), count);
    check_state(0, KEPT, BLOCK_STATE_FREE);
    CHECK_VALID();
    for (unsigned i = KEPT; i < BLOCKS_MAX; i++) {
        engine_free(freed[i]);
    }
    grow_until_swept(heap); /* it looks as if it was used once more */
    grow_until_swept(heap);
    CHECK_EQUAL(cached_count(heap, size_class_of(64)), 0);
    CHECK_VALID();
}

/* A class that never needs a refill is in use all the same. */
static void what_comes_and_goes_in_turn_keeps_its_slab(void) {
    struct heap *heap = begin_heap();
    for (int round = 0; round < 8; round++) {
        engine_free(engine_alloc(500));
        grow_until_swept(heap);
        CHECK(!list_empty(&heap->classes[size_class_of(500)].slabs));
        CHECK_VALID();
    }
}

/* What was not needed in a period is flushed at its end, and everything if the heap did nothing in the period. */
static void what_is_stored_decays(void) {
    struct heap *heap = store(6);
    struct heap_class *of = &heap->classes[size_class_of(64)];
    heap->depot.period_ms = os_coarse_ms();
    decay(heap, os_coarse_ms());
    CHECK_EQUAL(of->stock.count, 6);
    of->stock.surplus = of->stock.count;
    for (unsigned i = 0; i < KEPT + STORED + 1; i++) { /* two come back */
        CHECK(engine_alloc(64) != NULL);
    }
    CHECK_EQUAL(of->stock.surplus, 4);
    heap->depot.period_ms = os_coarse_ms() - spans.decay_ms;
    decay(heap, os_coarse_ms());
    CHECK_EQUAL(of->stock.count, 0);
    CHECK_VALID();
}

static void storing_into_an_empty_depot_begins_a_period(void) {
    struct heap *heap = store(0);
    const struct stock *stock = &heap->classes[size_class_of(64)].stock;
    heap->depot.period_ms = 1;
    for (unsigned i = KEPT; stock->count == 0; i++) {
        engine_free(freed[i]);
    }
    CHECK(heap->depot.period_ms != 1);
    CHECK_VALID();
}

/* Much is given back in several calls, none of which takes long; the period ends when all of it is. */
static void much_is_flushed_bit_by_bit(void) {
    enum { MANY = 100 * STORED };
    static void *many[MANY];
    struct heap *heap = begin_heap();
    struct stock *stock = &heap->classes[size_class_of(64)].stock;
    for (unsigned i = 0; i < MANY; i++) {
        many[i] = engine_alloc(64);
    }
    for (unsigned i = 0; i < MANY; i++) {
        engine_free(many[i]);
    }
    unsigned left = stock->count;
    CHECK(left > 90);
    heap->depot.period_ms = os_coarse_ms() - 2 * spans.decay_ms;
    const uint64_t period_ms = heap->depot.period_ms;
    unsigned calls = 0;
    for (; left != 0; calls++) {
        CHECK_EQUAL(heap->depot.period_ms, period_ms);
        decay(heap, os_coarse_ms());
        CHECK(stock->count < left);
        CHECK_AT_MOST((left - stock->count) * STORED, 8192 + STORED);
        left = stock->count;
        CHECK_VALID();
    }
    CHECK(calls >= 3);
    CHECK(heap->depot.period_ms > period_ms);
    CHECK_EQUAL(depot_bytes(&heap->depot) + heap->depot.stored_credit, 0);
}

static void what_lies_idle_is_flushed(void) {
    struct heap *heap = store(6);
    struct heap_class *of = &heap->classes[size_class_of(64)];
    of->stock.surplus = 0;
    heap->depot.period_ms = os_coarse_ms() - spans.decay_ms;
    decay(heap, os_coarse_ms());
    CHECK_EQUAL(of->stock.count, 6);
    CHECK_EQUAL(of->stock.surplus, 6);
    of->stock.surplus = 0;
    heap->depot.period_ms = os_coarse_ms() - 2 * spans.decay_ms;
    decay(heap, os_coarse_ms());
    CHECK_EQUAL(of->stock.count, 0);
    check_state(0, 6 * STORED, BLOCK_STATE_FREE);
    CHECK_VALID();
}

/* Without memory for another magazine, half of the full one goes back: what was freed first. */
static void without_memory_half_of_a_magazine_is_flushed(void) {
    enum { HALF = (MOST + 1) / 2 };
    struct heap *heap = store(0);
    os_inject(OS_CALL_MPROTECT, 0, UINT64_MAX, ENOMEM);
    unsigned end = KEPT;
    uint64_t flushes = heap->counters.flushes;
    for (; magazine_count(heap, size_class_of(64)) < MOST; end++) {
        engine_free(freed[end]);
    }
    for (size_t size = MAGAZINE_SIZE; size >= METADATA_STEP; size -= METADATA_STEP) {
        while (metadata_alloc(size) != NULL) {
            continue;
        }
    }
    engine_free(freed[end]);
    CHECK_EQUAL(heap->counters.flushes, flushes + 1);
    CHECK_EQUAL(magazine_count(heap, size_class_of(64)), MOST + 1 - HALF);
    check_state(0, HALF, BLOCK_STATE_FREE);
    check_state(HALF, end, heap->checks_every ? BLOCK_STATE_CACHED : BLOCK_STATE_LIVE);
    CHECK_VALID();
}

static void *free_many_small(void *unused) {
    (void)unused;
    void *blocks[500];
    for (unsigned i = 0; i < 500; i++) {
        blocks[i] = engine_alloc(64);
    }
    for (unsigned i = 0; i < 500; i++) {
        engine_free(blocks[i]);
    }
    CHECK_EQUAL(heap_mine->depot.stored_count, 0);
    return NULL;
}

/* If one heap has stored something, another may not. */
static void all_heaps_share_one_bound_of_stored_magazines(void) {
    enum { COUNT = 5000 };
    struct heap *heap = begin_heap();
    static void *blocks[COUNT];
    for (unsigned i = 0; i < COUNT; i++) {
        blocks[i] = engine_alloc(1024);
    }
    for (unsigned i = 0; i < COUNT; i++) {
        engine_free(blocks[i]);
    }
    CHECK_EQUAL(depot_bytes(&heap->depot) + heap->depot.stored_credit, 4 * MIB);
    lock_take(&heap->lock); /* a slow machine makes the heap idle, and the other thread must not empty its depot */
    thread_run(free_many_small, NULL);
    lock_give(&heap->lock);
    flush_mine();
    CHECK_EQUAL(heaps.depot_bytes, 0);
    CHECK_VALID();
}

/* A heap may grow again by what a trim gave back: the next sweep is as far away as after the last one. */
static void a_trim_brings_the_sweep_near(void) {
    struct heap *heap = begin_heap();
    static void *blocks[5000];
    for (unsigned i = 0; i < 5000; i++) {
        blocks[i] = engine_alloc(1000);
    }
    CHECK(heap->flush_at > 4 * MIB);
    for (unsigned i = 0; i < 5000; i++) {
        engine_free(blocks[i]);
    }
    engine_trim();
    CHECK_EQUAL(heap->flush_at, MIB);
    CHECK_VALID();
}

static void without_a_decay_nothing_is_kept(void) {
    struct heap *heap = begin_heap();
    for (unsigned i = 0; i < BLOCKS_MAX; i++) {
        freed[i] = engine_alloc(64);
    }
    for (unsigned i = 0; i < BLOCKS_MAX; i++) {
        engine_free(freed[i]);
    }
    CHECK_EQUAL(heap->depot.stored_count, 0);
    CHECK_VALID();
}

static void *grow_and_end(void *unused) {
    (void)unused;
    grow_until_swept(heap_mine == &heap_none ? thread_begin() : heap_mine);
    CHECK(heap_mine->flush_at > MIB);
    return NULL;
}

static void the_next_thread_is_swept_in_time(void) {
    begin_heap();
    thread_run(grow_and_end, NULL);
    CHECK_EQUAL(((struct heap *)window.heaps[2])->flush_at, MIB);
    CHECK_VALID();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        IN_BOTH_MODES(what_is_stored_comes_back_in_order),
        IN_BOTH_MODES(a_heap_that_grows_flushes),
        IN_BOTH_MODES(little_is_kept_when_the_heap_grows),
        IN_BOTH_MODES(what_is_idle_while_the_heap_grows_goes_back),
        IN_BOTH_MODES(what_comes_and_goes_in_turn_keeps_its_slab),
        FRESH(what_is_stored_decays),
        FRESH(storing_into_an_empty_depot_begins_a_period),
        FRESH(much_is_flushed_bit_by_bit),
        FRESH(what_lies_idle_is_flushed),
        IN_BOTH_MODES(without_memory_half_of_a_magazine_is_flushed),
        IN_BOTH_MODES(all_heaps_share_one_bound_of_stored_magazines),
        FRESH(a_trim_brings_the_sweep_near),
        FRESH_WITH(without_a_decay_nothing_is_kept, "decay_ms=0"),
        FRESH(the_next_thread_is_swept_in_time),
    };
    clock_stop(); /* each test's process inherits it */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
