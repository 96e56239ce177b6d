/*
 * large_cache_test.c - large blocks that a heap keeps: when they come back, when they are given up, and that neither
 * the process's memory nor the work of a call grows for them.
 */
#include "support/fresh.h"

#include <errno.h>

#include "engine/heap.h"
#include "engine/large.h"
#include "engine/lookup.h"
#include "engine/span.h"
#include "engine/upkeep.h"
#include "os/os.h"
#include "support/engine_heap.h"
#include "support/engine_locked.h"
#include "support/thread.h"

/* Longer than any test, shorter than the machine has been up. */
#define LONG_DECAY "decay_ms=200000"

/* A large block of one unit. */
#define LARGE (SMALL_MAX + 1)

/* Slow calls from one pass of upkeep to the next. */
#define CALLS_PER_PASS 16u

static size_t cached(void) {
    return large_cache_count(&heap_mine->larges);
}

static void a_block_comes_back(void) {
    begin_heap();
    char *small = engine_alloc(LARGE);
    char *larger = engine_alloc(2 * UNIT);
    memset(small, 1, LARGE);
    engine_free(larger);
    engine_free(small);
    CHECK_EQUAL(cached(), 2);
    CHECK_EQUAL(block_at(small).state, BLOCK_STATE_CACHED);
    CHECK_VALID();
    size_t taken = spans.taken;
    CHECK(engine_alloc(UNIT + 1) == larger);
    CHECK(engine_alloc_zeroed(1, UNIT) == small);
    for (size_t i = 0; i < UNIT; i++) {
        CHECK_EQUAL(small[i], 0);
    }
    CHECK_EQUAL(spans.taken, taken);
    CHECK_EQUAL(large_size(large_of(small)), UNIT);
    CHECK_EQUAL(cached(), 0);
    CHECK_VALID();
}

/* Of every size that is not huge, the one that was freed last. */
static void a_batch_comes_back_in_order(void) {
    enum { COUNT = 20 };
    static void *blocks[COUNT];
    begin_heap();
    for (size_t units = 1; units < LARGE_UNITS_END; units += 1 + units / 3) {
        for (unsigned i = 0; i < COUNT; i++) {
            blocks[i] = engine_alloc(units * UNIT - 1);
            CHECK(blocks[i] != NULL);
        }
        for (unsigned i = 0; i < COUNT; i++) {
            engine_free(blocks[i]);
        }
        CHECK_EQUAL(cached(), COUNT);
        size_t taken = spans.taken;
        for (unsigned i = COUNT; i-- > 0;) {
            CHECK(engine_alloc(units * UNIT) == blocks[i]);
        }
        CHECK_EQUAL(spans.taken, taken);
        CHECK_VALID();
        engine_trim();
    }
}

/* What is cached is aligned to a unit only. */
static void an_aligned_block_is_not_taken_from_the_cache(void) {
    enum { COUNT = 20 };
    void *blocks[COUNT];
    begin_heap();
    for (unsigned i = 0; i < COUNT; i++) {
        blocks[i] = engine_alloc(LARGE);
    }
    for (unsigned i = 0; i < COUNT; i++) {
        engine_free(blocks[i]);
    }
    for (unsigned i = 0; i < COUNT; i++) {
        CHECK((uintptr_t)engine_alloc_aligned(4 * UNIT, LARGE) % (4 * UNIT) == 0);
    }
    CHECK_VALID();
}

/* Every number of units has a bin, and blocks of other sizes that share it do not hide the right one. */
static void every_size_is_found_in_its_bin(void) {
    static struct large larges[LARGE_UNITS_END];
    static struct large_cache cache;
    CHECK(root_start());
    large_cache_init(&cache);
    unsigned bin = 0;
    for (size_t units = 1; units < LARGE_UNITS_END; units++) {
        CHECK(large_cache_bin(units) >= bin && large_cache_bin(units) < LARGE_BINS);
        bin = large_cache_bin(units);
        larges[units].span.units = (uint32_t)units;
        CHECK(large_cache_put(&cache, &larges[units]));
        CHECK(units < 4 || large_cache_take(&cache, units - 3) != NULL);
        CHECK(large_cache_take(&cache, units + 1) == NULL);
    }
    struct large huge = {.span = {.units = LARGE_UNITS_END}};
    CHECK(!large_cache_put(&cache, &huge));
    CHECK(large_cache_take(&cache, LARGE_UNITS_END) == NULL);
}

static void pairs_cost_no_page_and_no_system_call(void) {
    begin_heap();
    for (size_t size = LARGE; size < 64 * MIB; size *= 2) {
        char *block = engine_alloc(size);
        block[0] = block[size - 1] = 1;
        engine_free(block);
    }
    struct os_usage before;
    struct os_usage after;
    uint64_t calls = os_inject_calls(OS_CALL_MADVISE) + os_inject_calls(OS_CALL_MPROTECT);
    os_usage(&before);
    for (unsigned round = 0; round < 1000; round++) {
        for (size_t size = LARGE; size < 64 * MIB; size *= 2) {
            char *block = engine_alloc(size);
            block[0] = block[size - 1] = 1;
            engine_free(block);
        }
    }
    os_usage(&after);
    CHECK_AT_MOST(after.minor_faults - before.minor_faults, 1000); /* of 11,000 pairs */
    CHECK_EQUAL(os_inject_calls(OS_CALL_MADVISE) + os_inject_calls(OS_CALL_MPROTECT), calls);
    CHECK_VALID();
}

/* What is cached serves requests of any other size before the window's used part grows. */
static void nothing_grows_while_blocks_are_cached(void) {
    enum { COUNT = 32 };
    void *blocks[COUNT];
    begin_heap();
    for (unsigned i = 0; i < COUNT; i++) {
        blocks[i] = engine_alloc(16 * UNIT);
    }
    size_t top = spans.top;
    for (unsigned i = 0; i < COUNT; i++) {
        engine_free(blocks[i]);
    }
    for (unsigned i = 0; i < COUNT / 2; i++) {
        CHECK((blocks[i] = engine_alloc(32 * UNIT)) != NULL);
    }
    CHECK_EQUAL(spans.top, top);
    CHECK_EQUAL(cached(), 0);
    for (unsigned i = 0; i < COUNT / 2; i++) {
        engine_free(blocks[i]);
    }
    for (size_t bytes = 0; bytes < COUNT * 12 * UNIT; bytes += 1024) {
        CHECK(engine_alloc(1000) != NULL);
    }
    CHECK_EQUAL(spans.top, top);
    CHECK_VALID();
}

static void *leave_cached(void *blocks) {
    for (unsigned i = 0; i < 32; i++) {
        ((void **)blocks)[i] = engine_alloc(16 * UNIT);
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
        CHECK(engine_alloc(32 * UNIT) != NULL);
    }
    CHECK_AT_MOST(spans.top, top + 4 * UNIT);
    return NULL;
}

/* Other threads' blocks, too, though these threads may be at work. */
static void others_give_up_what_they_cache(void) {
    void *blocks[34] = {[33] = (void *)(uintptr_t)take_of_others};
    thread_run(leave_cached, blocks);
    CHECK_VALID();
}

static void blocks_decay(void) {
    struct heap *heap = begin_heap();
    void *old = engine_alloc(LARGE);
    void *new = engine_alloc(2 * UNIT);
    size_t live = spans.live_units;
    uint64_t now_ms = os_coarse_ms();
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
    span_decay(now_ms + spans.decay_ms + 10);
    CHECK(spans.dirty_units == 0 || !os_purge_zeroes());
    CHECK_VALID();
}

/* One call gives a few back, however many there are. */
static void a_pass_gives_few_back(void) {
    enum { COUNT = 1000 };
    static void *blocks[COUNT];
    struct heap *heap = begin_heap();
    for (unsigned i = 0; i < COUNT; i++) {
        blocks[i] = engine_alloc(LARGE);
    }
    for (unsigned i = 0; i < COUNT; i++) {
        engine_free(blocks[i]);
    }
    heap->larges.period_ms -= 2 * (uint64_t)spans.decay_ms;
    size_t before = cached();
    upkeep_pass(heap);
    CHECK(cached() < before && cached() >= before - 64);
    for (unsigned i = 0; i < COUNT / 64 + 1; i++) {
        upkeep_pass(heap);
    }
    CHECK_EQUAL(cached(), 0);
    CHECK_VALID();
}

/* Before an allocation fails, what its heap keeps is given up. */
static void a_cache_makes_nothing_fail(void) {
    begin_heap();
    void *large = engine_alloc(2 * UNIT);
    while (engine_alloc(1000) != NULL) {
        continue;
    }
    engine_free(large);
    CHECK_EQUAL(cached(), 1);
    CHECK(engine_alloc(1000) != NULL);
    CHECK_EQUAL(cached(), 0);
    CHECK_VALID();
}

/* The same for a large block, where the system gives no mapping either. */
static void a_cache_makes_nothing_large_fail(void) {
    begin_heap();
    char *first = engine_alloc(2 * UNIT);
    char *second = engine_alloc(2 * UNIT);
    CHECK(second == first + 2 * UNIT);
    while (engine_alloc(1000) != NULL) {
        continue;
    }
    engine_free(first);
    engine_free(second);
    os_inject(OS_CALL_MMAP, 0, UINT64_MAX, ENOMEM);
    CHECK(engine_alloc(4 * UNIT) == first);
    CHECK(engine_alloc(4 * UNIT) == NULL && errno == ENOMEM);
    os_inject_clear();
    CHECK_VALID();
}

static void without_a_decay_nothing_is_kept(void) {
    begin_heap();
    engine_free(engine_alloc(LARGE));
    CHECK_EQUAL(cached(), 0);
    CHECK(spans.live_units == 0 && (spans.dirty_units == 0 || !os_purge_zeroes()));
    CHECK_VALID();
}

/* A thread that does nothing but free large blocks gives up what it keeps, too. */
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
        blocks[i] = engine_alloc(LARGE);
    }
    thread_run(free_large, blocks);
    CHECK_VALID();
}

static void freeing_a_cached_block_is_a_fault(void) {
    begin_heap();
    void *block = engine_alloc(LARGE);
    engine_free(block);
    engine_free(block);
}

static void freeing_a_unit_of_a_block_is_a_fault(void) {
    begin_heap();
    engine_free((char *)engine_alloc(3 * UNIT) + 2 * UNIT);
}

static void freeing_what_lies_in_the_first_unit_is_a_fault(void) {
    begin_heap();
    engine_free((char *)engine_alloc(3 * UNIT) + 1024);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        FRESH(a_block_comes_back),
        FRESH_WITH(a_batch_comes_back_in_order, LONG_DECAY),
        FRESH_WITH(an_aligned_block_is_not_taken_from_the_cache, LONG_DECAY),
        FRESH_WITH(every_size_is_found_in_its_bin, LONG_DECAY),
        FRESH_WITH(pairs_cost_no_page_and_no_system_call, LONG_DECAY),
        FRESH_WITH(nothing_grows_while_blocks_are_cached, LONG_DECAY),
        FRESH_WITH(others_give_up_what_they_cache, LONG_DECAY),
        FRESH_WITH(blocks_decay, LONG_DECAY),
        FRESH_WITH(a_pass_gives_few_back, LONG_DECAY),
        FRESH_WITH(a_cache_makes_nothing_fail, "window=4m"),
        FRESH_WITH(a_cache_makes_nothing_large_fail, "window=4m"),
        FRESH_WITH(without_a_decay_nothing_is_kept, "decay_ms=0"),
        FRESH_WITH(a_thread_that_only_frees_gives_back, LONG_DECAY),
        FRESH_FAULT(freeing_a_cached_block_is_a_fault, "",
                    "free(@): double free: a large block of 36864 bytes, cached"),
        FRESH_FAULT(freeing_a_unit_of_a_block_is_a_fault, "",
                    "free(@): not a block's start: 131072 bytes into a large block of 196608 bytes, live"),
        FRESH_FAULT(freeing_what_lies_in_the_first_unit_is_a_fault, "",
                    "free(@): not a block's start: 1024 bytes into a large block of 196608 bytes, live"),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
