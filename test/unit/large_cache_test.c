/*
 * large_cache_test.c - large blocks that a heap keeps: when they are reused, when they are given up, and that neither
 * the process's memory nor the work of a call grows because of them.
 */
#include "support/fresh.h"

#include <errno.h>

#include "engine/heaps/cached_blocks.h"
#include "engine/heaps/heap.h"
#include "engine/memory/large.h"
#include "engine/memory/span.h"
#include "engine/slabs/lookup.h"
#include "engine/upkeep/decay.h"
#include "os/os.h"
#include "support/clock.h"
#include "support/engine_heap.h"
#include "support/engine_locked.h"
#include "support/thread.h"

/* A large block of one unit; if it is not aligned, it is a medium one. */
#define LARGE (SMALL_MAX + 1)

static void *allocate(size_t size) {
    return engine_alloc_aligned(2 * GRANULE, size);
}

static size_t cached(void) {
    return large_cache_count(&heap_mine->larges);
}

static void a_block_comes_back(void) {
    begin_heap();
    char *small = allocate(LARGE);
    char *larger = allocate(2 * UNIT);
    memset(small, 1, LARGE);
    engine_free(larger);
    engine_free(small);
    CHECK_EQUAL(cached(), 2);
    CHECK_EQUAL(block_at(small).state, BLOCK_STATE_CACHED);
    CHECK_VALID();
    size_t taken = spans.taken;
    CHECK(allocate(UNIT + 1) == larger);
    CHECK(engine_alloc_zeroed(1, UNIT) == small);
    for (size_t i = 0; i < UNIT; i++) {
        CHECK_EQUAL(small[i], 0);
    }
    CHECK_EQUAL(spans.taken, taken);
    CHECK_EQUAL(large_size(large_of(small)), UNIT);
    CHECK_EQUAL(cached(), 0);
    CHECK_VALID();
}

/* For every size that is not huge, the last freed block comes back. */
static void a_batch_comes_back_in_order(void) {
    enum { COUNT = 20 };
    static void *blocks[COUNT];
    begin_heap();
    needs_large_blocks_again();
    for (size_t units = 1; units < LARGE_UNITS_END; units += 1 + units / 3) {
        for (unsigned i = 0; i < COUNT; i++) {
            blocks[i] = allocate(units * UNIT - 1);
            CHECK(blocks[i] != NULL);
        }
        for (unsigned i = 0; i < COUNT; i++) {
            engine_free(blocks[i]);
        }
        CHECK_EQUAL(cached(), COUNT);
        size_t taken = spans.taken;
        for (unsigned i = COUNT; i-- > 0;) {
            CHECK(allocate(units * UNIT) == blocks[i]);
        }
        CHECK_EQUAL(spans.taken, taken);
        CHECK_VALID();
        for (unsigned i = 0; i < COUNT; i++) {
            engine_free(blocks[i]);
        }
        engine_trim();
    }
}

/* Cached blocks are aligned only to a unit. */
static void an_aligned_block_is_not_taken_from_the_cache(void) {
    enum { COUNT = 20 };
    void *blocks[COUNT];
    begin_heap();
    for (unsigned i = 0; i < COUNT; i++) {
        blocks[i] = allocate(LARGE);
    }
    for (unsigned i = 0; i < COUNT; i++) {
        engine_free(blocks[i]);
    }
    for (unsigned i = 0; i < COUNT; i++) {
        CHECK((uintptr_t)engine_alloc_aligned(4 * UNIT, LARGE) % (4 * UNIT) == 0);
    }
    CHECK_VALID();
}

static struct large *take(struct large_cache *cache, size_t units) {
    struct large *large = large_cache_take_ready(cache, units);
    return large != NULL ? large : large_cache_take(cache, units);
}

/* Every number of units has a bin, and blocks of other sizes in it do not hide the right one. */
static void every_size_is_found_in_its_bin(void) {
    static struct large larges[LARGE_UNITS_END + 1];
    static struct span *descriptors[LARGE_UNITS_END + 1];
    static struct large_cache cache;
    CHECK(root_start());
    window.spans = descriptors;
    large_cache_init(&cache);
    unsigned bin = 0;
    for (size_t units = 1; units <= LARGE_UNITS_END; units++) {
        larges[units].span = (struct span){.first = (uint32_t)units, .units = (uint32_t)units};
        descriptors[units] = &larges[units].span;
    }
    for (size_t units = 1; units < LARGE_UNITS_END; units++) {
        CHECK(large_cache_bin(units) >= bin && large_cache_bin(units) < LARGE_BINS);
        bin = large_cache_bin(units);
        CHECK(large_cache_put(&cache, &larges[units]));
        CHECK(units < 4 || take(&cache, units - 3) == &larges[units - 3]);
        CHECK(take(&cache, units + 1) == NULL);
    }
    CHECK(!large_cache_put(&cache, &larges[LARGE_UNITS_END]));
    CHECK(!large_cache_put_ready(&cache, &larges[LARGE_UNITS_END]));
    CHECK(take(&cache, LARGE_UNITS_END) == NULL);
    CHECK(take(&cache, 0) == NULL && large_cache_take_wider(&cache, 0) == NULL);
}

/* A program that needs several large blocks once gets their memory back at once, but not that of the few that count for
 * little; a request that finds no block shows that freed ones are needed again. */
static void blocks_are_cached_once_they_are_needed_again(void) {
    enum { COUNT = 20, UNITS = 8 };
    static void *blocks[COUNT];
    struct heap *heap = begin_heap();
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i < COUNT; i++) {
            blocks[i] = allocate(UNITS * UNIT);
            memset(blocks[i], 1, UNITS * UNIT);
        }
        for (unsigned i = 0; i < COUNT; i++) {
            engine_free(blocks[i]);
        }
        if (round == 0) {
            CHECK_AT_MOST(large_cache_units(&heap->larges), UNPROVEN_UNITS);
            CHECK(cached() != 0);
            CHECK(spans.dirty_units == 0 || !os_purge_zeroes());
        } else {
            CHECK_EQUAL(cached(), COUNT);
        }
        CHECK_VALID();
    }
    /* What was not needed for long is unproven again. */
    lock_take(&heap->lock);
    large_cache_decay(&heap->larges, heap->larges.period_ms + 2 * spans.decay_ms, SIZE_MAX);
    lock_give(&heap->lock);
    CHECK_EQUAL(cached(), 0);
    CHECK_EQUAL(large_demands[large_cache_bin(UNITS)], DEMAND_UNKNOWN);
}

/* A program that takes and frees one large block at a time needs no proof, whatever else is cached. */
static void one_block_of_each_size_is_cached_at_once(void) {
    enum { COUNT = 20, UNITS = 8, OTHER_UNITS = 24 };
    void *blocks[COUNT];
    struct heap *heap = begin_heap();
    void *other = allocate(OTHER_UNITS * UNIT);
    for (unsigned i = 0; i < COUNT; i++) {
        blocks[i] = allocate(UNITS * UNIT);
    }
    for (unsigned i = 0; i < COUNT; i++) {
        engine_free(blocks[i]);
    }
    const size_t before = cached();
    CHECK(!large_cache_has_share(&heap->larges, OTHER_UNITS));
    engine_free(other);
    CHECK_EQUAL(cached(), before + 1);
    CHECK_VALID();
}

/* What counts for little depends on what the process holds: here, five times as much as it frees. */
static void a_quarter_of_what_is_held_is_cached_at_once(void) {
    enum { COUNT = 20, UNITS = 8 };
    static void *blocks[COUNT];
    begin_heap();
    CHECK(allocate(4 * COUNT * UNITS * UNIT) != NULL);
    for (unsigned i = 0; i < COUNT; i++) {
        blocks[i] = allocate(UNITS * UNIT);
    }
    for (unsigned i = 0; i < COUNT; i++) {
        engine_free(blocks[i]);
    }
    CHECK_EQUAL(cached(), COUNT);
    CHECK_VALID();
}

/* Tables that calloc made, of which the program uses a word each, hold too little to be purged at once. */
static void sparse_tables_are_cached_at_once(void) {
    enum { COUNT = 20, UNITS = 8 };
    static char *blocks[COUNT];
    begin_heap();
    for (unsigned i = 0; i < COUNT; i++) {
        blocks[i] = engine_alloc_zeroed(1, UNITS * UNIT);
        blocks[i][i * 4096] = 1;
    }
    for (unsigned i = 0; i < COUNT; i++) {
        engine_free(blocks[i]);
    }
    CHECK_EQUAL(cached(), COUNT);
    CHECK_EQUAL(large_demands[large_cache_bin(UNITS)], DEMAND_UNKNOWN);
    CHECK_VALID();
}

static void pairs_cost_no_page_and_no_system_call(void) {
    begin_heap();
    for (size_t size = LARGE; size < 64 * MIB; size *= 2) {
        char *block = allocate(size);
        block[0] = block[size - 1] = 1;
        engine_free(block);
    }
    struct os_usage before;
    struct os_usage after;
    uint64_t calls = os_inject_calls(OS_CALL_MADVISE) + os_inject_calls(OS_CALL_MPROTECT);
    os_usage(&before);
    for (unsigned round = 0; round < 1000; round++) {
        for (size_t size = LARGE; size < 64 * MIB; size *= 2) {
            char *block = allocate(size);
            block[0] = block[size - 1] = 1;
            engine_free(block);
        }
    }
    os_usage(&after);
    CHECK_AT_MOST(after.minor_faults - before.minor_faults, 1000); /* in 11,000 pairs */
    CHECK_EQUAL(os_inject_calls(OS_CALL_MADVISE) + os_inject_calls(OS_CALL_MPROTECT), calls);
    CHECK_VALID();
}

/* Cached blocks serve requests of any other size before the window's used part grows. */
static void nothing_grows_while_blocks_are_cached(void) {
    enum { COUNT = 32 };
    void *blocks[COUNT];
    begin_heap();
    needs_large_blocks_again();
    for (unsigned i = 0; i < COUNT; i++) {
        blocks[i] = allocate(16 * UNIT);
    }
    size_t top = spans.top;
    for (unsigned i = 0; i < COUNT; i++) {
        engine_free(blocks[i]);
    }
    for (unsigned i = 0; i < COUNT / 2; i++) {
        CHECK((blocks[i] = allocate(32 * UNIT)) != NULL);
    }
    CHECK_EQUAL(spans.top, top);
    CHECK_EQUAL(cached(), 0);
    for (unsigned i = 0; i < COUNT / 2; i++) {
        engine_free(blocks[i]);
    }
    for (size_t bytes = 0; bytes < COUNT * 12 * UNIT; bytes += 1024) {
        CHECK(allocate(1000) != NULL);
    }
    CHECK_EQUAL(spans.top, top);
    CHECK_VALID();
}

static void *leave_cached(void *blocks) {
    begin_heap();
    needs_large_blocks_again();
    for (unsigned i = 0; i < 32; i++) {
        ((void **)blocks)[i] = allocate(16 * UNIT);
    }
    for (unsigned i = 0; i < 32; i++) {
        engine_free(((void **)blocks)[i]);
    }
    CHECK_EQUAL(cached(), 32);
    size_t *top = ((void **)blocks)[32];
    thread_run((void *(*)(void *))((void **)blocks)[33], top);
    CHECK(cached() < 32);
    return NULL;
}

static void *take_of_others(void *unused) {
    (void)unused;
    begin_heap();
    size_t top = spans.top;
    for (unsigned i = 0; i < 8; i++) {
        CHECK(allocate(32 * UNIT) != NULL);
    }
    CHECK_AT_MOST(spans.top, top + 4 * UNIT);
    return NULL;
}

/* Even other threads' blocks, although these threads may be at work. */
static void others_give_up_what_they_cache(void) {
    void *blocks[34] = {[33] = (void *)(uintptr_t)take_of_others};
    thread_run(leave_cached, blocks);
    CHECK_VALID();
}

static _Atomic bool enough_taken;
static _Atomic bool gone; /* the other thread, perhaps before this one has seen its heap */

/* Tells its heap, then allocates and frees large blocks. */
static void *come_and_go(void *heap) {
    atomic_store((_Atomic(struct heap *) *)heap, begin_heap());
    for (size_t round = scaled(1000000); round != 0 && !atomic_load(&enough_taken); round--) {
        void *block = allocate((1 + round % 3) * UNIT);
        CHECK(large_is_live(large_of(block)));
        engine_free(block);
    }
    atomic_store(&gone, true);
    return NULL;
}

/* Others take ready blocks at the same moment as their thread: each block is taken once. */
static void a_ready_block_is_taken_once(void) {
    static _Atomic(struct heap *) told;
    struct heap *heap;
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, come_and_go, &told) == 0);
    while ((heap = atomic_load(&told)) == NULL) {
        continue;
    }
    /* On a busy machine the other thread may get the lock only once in a millisecond. */
    size_t taken = 0;
    while (!atomic_load(&gone)) {
        lock_take(&heap->lock);
        taken += large_cache_count(&heap->larges);
        large_cache_flush(&heap->larges, SIZE_MAX);
        lock_give(&heap->lock);
        atomic_store(&enough_taken, taken > scaled(50000));
    }
    pthread_join(thread, NULL);
    CHECK_VALID();
}

/* Blocks of different sizes in turn use one span, if it is not much wider than they need. */
static void sizes_in_turn_share_a_block(void) {
    begin_heap();
    void *widest = allocate(5 * UNIT);
    engine_free(widest);
    const size_t taken = spans.taken;
    for (unsigned i = 0; i < 100; i++) {
        void *block = allocate((1 + 7 * i % 5) * UNIT - i);
        CHECK(block == widest);
        CHECK_EQUAL(large_size(large_of(block)), round_up((1 + 7 * i % 5) * UNIT - i, OS_PAGE));
        CHECK_VALID();
        engine_free(block);
    }
    CHECK_EQUAL(spans.taken, taken);
    CHECK_EQUAL(heap_mine->larges.wider, 0);
    CHECK(engine_realloc("realloc", allocate(UNIT), 5 * UNIT) == widest);
    CHECK_EQUAL(spans.taken, taken);
    CHECK_VALID();
}

static void *end_block(void *block) {
    engine_free(block);
    return NULL;
}

/* What live blocks have too much is bounded for as long as they live, whoever frees or resizes them. */
static void blocks_are_wider_by_few_units(void) {
    enum { COUNT = 20 };
    void *blocks[COUNT];
    struct heap *heap = begin_heap();
    size_t units = 0;
    for (unsigned i = 0; i < COUNT; i++) {
        blocks[i] = allocate((2 + i % 5) * UNIT);
    }
    for (unsigned i = 0; i < COUNT; i++) {
        engine_free(blocks[i]);
    }
    for (unsigned i = 0; i < COUNT; i++) {
        blocks[i] = allocate(UNIT);
        units += large_of(blocks[i])->span.units;
    }
    CHECK(units > COUNT);
    CHECK_AT_MOST(units, COUNT + LARGE_WIDER);
    CHECK_EQUAL(heap->larges.wider, units - COUNT);
    lock_take(&heap->lock);
    large_cache_decay(&heap->larges, heap->larges.period_ms + spans.decay_ms, SIZE_MAX);
    lock_give(&heap->lock);
    CHECK_EQUAL(heap->larges.wider, units - COUNT);
    for (unsigned i = 0; i < COUNT; i++) {
        if (i % 3 == 0) {
            thread_run(end_block, blocks[i]);
        } else if (i % 3 == 1) {
            engine_free(engine_realloc("realloc", blocks[i], 2 * UNIT));
        } else {
            engine_free(blocks[i]);
        }
        CHECK_VALID();
    }
    CHECK_EQUAL(heap->larges.wider, 0);
}

/* Without samples, pairs that take no memory need no beat for each. */
static void a_cached_block_counts_little(void) {
    struct heap *heap = begin_heap();
    needs_large_blocks_again();
    engine_free(allocate(8 * MIB));
    const uint32_t calls = heap->slow_calls;
    for (unsigned i = 0; i < 160; i++) {
        engine_free(allocate(8 * MIB));
    }
    CHECK_EQUAL(heap->slow_calls - calls, 160 + 160 / CALLS_PER_PASS);
}

static void blocks_decay(void) {
    struct heap *heap = begin_heap();
    void *old = allocate(LARGE);
    void *new = allocate(2 * UNIT);
    size_t live = spans.live_units;
    engine_free(old);
    lock_take(&heap->lock);
    large_cache_decay(&heap->larges, heap->larges.period_ms + spans.decay_ms, SIZE_MAX);
    CHECK_EQUAL(cached(), 1);
    lock_give(&heap->lock);
    engine_free(new);
    lock_take(&heap->lock);
    large_cache_decay(&heap->larges, heap->larges.period_ms + spans.decay_ms, SIZE_MAX);
    lock_give(&heap->lock);
    CHECK_EQUAL(cached(), 1);
    CHECK_EQUAL(block_at(new).state, BLOCK_STATE_CACHED);
    CHECK_EQUAL(spans.live_units, live - 1);
    /* It has been unused for long enough, and is purged at the next opportunity. */
    span_decay(os_coarse_ms() + spans.decay_ms + 10);
    CHECK(spans.dirty_units == 0 || !os_purge_zeroes());
    CHECK_VALID();
}

/* The largest that fit are given up, and no more than was asked for. */
static void some_units_are_flushed(void) {
    static const size_t units[] = {8, 8, 2};
    void *blocks[3];
    struct heap *heap = begin_heap();
    needs_large_blocks_again();
    for (unsigned i = 0; i < 3; i++) {
        blocks[i] = allocate(units[i] * UNIT);
    }
    for (unsigned i = 0; i < 3; i++) {
        engine_free(blocks[i]);
    }
    CHECK_EQUAL(large_cache_units(&heap->larges), 18);
    lock_take(&heap->lock);
    CHECK_EQUAL(large_cache_flush_units(&heap->larges, 12), 10);
    lock_give(&heap->lock);
    CHECK_EQUAL(large_cache_units(&heap->larges), 8);
    CHECK_VALID();
}

/* One call gives a few back, however many there are. */
static void a_pass_gives_few_back(void) {
    enum { COUNT = 1000 };
    static void *blocks[COUNT];
    struct heap *heap = begin_heap();
    for (unsigned i = 0; i < COUNT; i++) {
        blocks[i] = allocate(LARGE);
    }
    for (unsigned i = 0; i < COUNT; i++) {
        engine_free(blocks[i]);
    }
    heap->larges.period_ms -= 2 * (uint64_t)spans.decay_ms;
    size_t before = cached();
    CHECK(large_cache_used(&heap->larges));
    upkeep_pass(heap, os_coarse_ms());
    CHECK(cached() < before && cached() >= before - 64);
    for (unsigned i = 0; i < COUNT / 64 + 1; i++) {
        upkeep_pass(heap, os_coarse_ms());
    }
    CHECK_EQUAL(cached(), 0);
    CHECK(!large_cache_used(&heap->larges));
    CHECK_VALID();
}

/* What a heap caches goes back when its thread is idle for long and then makes its first slow calls. */
static void goes_back_at(size_t size) {
    enum { COUNT = 4, CALLS = 8 };
    void *blocks[COUNT];
    struct heap *heap = heap_mine;
    for (unsigned i = 0; i < COUNT; i++) {
        blocks[i] = allocate((1 + i) * UNIT);
    }
    for (unsigned i = 0; i < COUNT; i++) {
        engine_free(blocks[i]);
    }
    CHECK_EQUAL(cached(), COUNT);
    heap->larges.period_ms -= 3 * (uint64_t)spans.decay_ms;
    heap->passed_ms -= 3 * (uint64_t)spans.decay_ms;
    heap->slow_calls = 1; /* the next CALLS_PER_PASS - 1 calls do no pass because of their number */
    for (unsigned i = 0; i < CALLS; i++) {
        CHECK(allocate(size) != NULL);
        lock_take(&heap->lock);
        cached_flush_class(heap, size_class_of(size));
        lock_give(&heap->lock);
    }
    CHECK_EQUAL(cached(), 0);
    CHECK(spans.dirty_units == 0 || !os_purge_zeroes());
    CHECK_VALID();
}

static void a_thread_that_wakes_and_grows_gives_all_back(void) {
    begin_heap();
    goes_back_at(300);
}

static void a_thread_that_wakes_and_has_slots_gives_all_back(void) {
    begin_heap();
    CHECK(allocate(300) != NULL);
    lock_take(&heap_mine->lock);
    cached_flush(heap_mine);
    lock_give(&heap_mine->lock);
    goes_back_at(300);
}

/* Before an allocation fails, its heap gives up what it keeps. */
static void a_cache_makes_nothing_fail(void) {
    begin_heap();
    void *large = allocate(2 * UNIT);
    while (allocate(1000) != NULL) {
        continue;
    }
    engine_free(large);
    CHECK_EQUAL(cached(), 1);
    CHECK(allocate(1000) != NULL);
    CHECK_EQUAL(cached(), 0);
    CHECK_VALID();
}

/* The same for a large block, if the system gives no mapping either. */
static void a_cache_makes_nothing_large_fail(void) {
    begin_heap();
    char *first = allocate(2 * UNIT);
    char *second = allocate(2 * UNIT);
    CHECK(second == first + 2 * UNIT);
    while (allocate(1000) != NULL) {
        continue;
    }
    engine_free(first);
    engine_free(second);
    os_inject(OS_CALL_MMAP, 0, UINT64_MAX, ENOMEM);
    CHECK(allocate(4 * UNIT) == first);
    CHECK(allocate(4 * UNIT) == NULL && errno == ENOMEM);
    os_inject_clear();
    CHECK_VALID();
}

static void without_a_decay_nothing_is_kept(void) {
    begin_heap();
    engine_free(allocate(LARGE));
    CHECK_EQUAL(cached(), 0);
    CHECK(spans.live_units == 0 && (spans.dirty_units == 0 || !os_purge_zeroes()));
    CHECK_VALID();
}

/* A thread that only frees large blocks gives up what it keeps, too. */
static void *free_large(void *blocks) {
    begin_heap();
    engine_free(((void **)blocks)[0]);
    heap_mine->larges.period_ms -= 2 * (uint64_t)spans.decay_ms;
    for (size_t i = 1; i <= CALLS_PER_PASS; i++) {
        CHECK(cached() > 0);
        heap_mine->passed_ms = 0; /* as if the clock had moved on */
        engine_free(((void **)blocks)[i]);
    }
    CHECK(cached() < 1 + CALLS_PER_PASS);
    return NULL;
}

static void a_thread_that_only_frees_gives_back(void) {
    void *blocks[1 + CALLS_PER_PASS];
    for (size_t i = 0; i <= CALLS_PER_PASS; i++) {
        blocks[i] = allocate(LARGE);
    }
    thread_run(free_large, blocks);
    CHECK_VALID();
}

static void freeing_a_cached_block_is_a_fault(void) {
    begin_heap();
    void *block = allocate(LARGE);
    engine_free(block);
    engine_free(block);
}

static void freeing_a_unit_of_a_block_is_a_fault(void) {
    begin_heap();
    engine_free((char *)allocate(3 * UNIT) + 2 * UNIT);
}

static void freeing_what_lies_in_the_first_unit_is_a_fault(void) {
    begin_heap();
    engine_free((char *)allocate(3 * UNIT) + 1024);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        FRESH(a_block_comes_back),
        FRESH(a_batch_comes_back_in_order),
        FRESH(an_aligned_block_is_not_taken_from_the_cache),
        FRESH(every_size_is_found_in_its_bin),
        FRESH(blocks_are_cached_once_they_are_needed_again),
        FRESH(one_block_of_each_size_is_cached_at_once),
        FRESH(a_quarter_of_what_is_held_is_cached_at_once),
        FRESH(sparse_tables_are_cached_at_once),
        FRESH(pairs_cost_no_page_and_no_system_call),
        FRESH(nothing_grows_while_blocks_are_cached),
        FRESH(others_give_up_what_they_cache),
        FRESH(a_ready_block_is_taken_once),
        FRESH(sizes_in_turn_share_a_block),
        FRESH(blocks_are_wider_by_few_units),
        FRESH(a_cached_block_counts_little),
        FRESH(blocks_decay),
        FRESH(some_units_are_flushed),
        FRESH(a_pass_gives_few_back),
        FRESH(a_thread_that_wakes_and_grows_gives_all_back),
        FRESH(a_thread_that_wakes_and_has_slots_gives_all_back),
        FRESH_WITH(a_cache_makes_nothing_fail, "window=4m"),
        FRESH_WITH(a_cache_makes_nothing_large_fail, "window=4m"),
        FRESH_WITH(without_a_decay_nothing_is_kept, "decay_ms=0"),
        FRESH(a_thread_that_only_frees_gives_back),
        FRESH_FAULT(freeing_a_cached_block_is_a_fault, "",
                    "free(@): double free: a large block of 36864 bytes, cached"),
        FRESH_FAULT(freeing_a_unit_of_a_block_is_a_fault, "",
                    "free(@): not a block's start: 131072 bytes into a large block of 196608 bytes, live"),
        FRESH_FAULT(freeing_what_lies_in_the_first_unit_is_a_fault, "",
                    "free(@): not a block's start: 1024 bytes into a large block of 196608 bytes, live"),
    };
    clock_stop(); /* each test's process inherits it */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
