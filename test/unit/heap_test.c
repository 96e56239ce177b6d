/*
 * heap_test.c - heaps: begun, ended and reused; their slabs; what a trim and a fork do to them.
 */
#include "support/fresh.h"

#include <limits.h>

#include "engine/heaps/heap.h"
#include "engine/heaps/unused_heaps.h"
#include "engine/slabs/lookup.h"
#include "engine/slabs/slab.h"
#include "engine/upkeep/decay.h"
#include "engine/upkeep/idle.h"
#include "engine/upkeep/trim.h"
#include "support/clock.h"
#include "support/engine_heap.h"
#include "support/engine_locked.h"
#include "support/kernel.h"
#include "support/thread.h"

#define BLOCKS 4000

static void *blocks[BLOCKS];

static void *begin_and_tell(void *id) {
    CHECK(heap_mine == &heap_none);
    engine_free(engine_alloc(1));
    *(uint32_t *)id = heap_mine->id;
    return NULL;
}

static void a_heap_is_used_again_by_the_next_thread(void) {
    for (int i = 0; i < 10; i++) {
        uint32_t id = 0;
        thread_run(begin_and_tell, &id);
        CHECK_EQUAL(id, 1);
        CHECK_EQUAL(heaps.in_use, 0);
    }
    CHECK_EQUAL(heaps.made, 1);
    CHECK_EQUAL(heaps.started, 10);
    CHECK(heap_mine == &heap_none);
    engine_free(engine_alloc(1));
    CHECK_EQUAL(heap_mine->id, 1);
    CHECK_EQUAL(heaps.in_use, 1);
    check_nothing_left();
}

static pthread_key_t late;

/* Its last round of destructors allocates: what a thread of the heap has then is not asked for again. */
static void allocate_last(void *round) {
    uintptr_t rounds = (uintptr_t)round;
    if (rounds < _POSIX_THREAD_DESTRUCTOR_ITERATIONS) {
        CHECK(pthread_setspecific(late, (void *)(rounds + 1)) == 0);
    } else {
        blocks[0] = engine_alloc(1000);
        engine_free(engine_alloc(1000));
    }
}

static void *end_late(void *unused) {
    (void)unused;
    CHECK(pthread_setspecific(late, (void *)(uintptr_t)1) == 0);
    return NULL;
}

static void a_heap_that_an_ended_thread_has_left_is_used_again(void) {
    enum { THREADS = 50 };
    if (UNDER_TSAN) { /* whose part of a thread has ended by then */
        child_cannot();
    }
    engine_free(engine_alloc(1));
    CHECK(pthread_key_create(&late, allocate_last) == 0);
    for (int i = 0; i < THREADS; i++) {
        thread_run(end_late, NULL);
        engine_free(blocks[0]); /* by way of its inbox */
        CHECK_VALID();
    }
    CHECK_AT_MOST(heaps.made, 3);
    uint32_t id = 0;
    thread_run(begin_and_tell, &id); /* its end is seen */
    CHECK_AT_MOST(heaps.in_use, 2);
    CHECK_VALID();
}

static void *only_ask(void *block) {
    CHECK_EQUAL(engine_usable_size("malloc_usable_size", block), 16);
    engine_free(NULL);
    CHECK(heap_mine == &heap_none);
    return NULL;
}

static void a_thread_that_neither_allocates_nor_frees_has_no_heap(void) {
    void *block = engine_alloc(1);
    thread_run(only_ask, block);
    CHECK_EQUAL(heaps.started, 1);
}

static pthread_barrier_t step;

static void *hold_a_heap(void *unused) {
    (void)unused;
    engine_free(engine_alloc(1));
    pthread_barrier_wait(&step);
    return heap_mine;
}

#define THREADS 30

static void *their_heaps[THREADS];

/* That many threads at once have had heaps, which are unused now. */
static void threads_come_and_go(unsigned count) {
    pthread_t threads[THREADS];
    CHECK(pthread_barrier_init(&step, NULL, count) == 0);
    for (unsigned i = 0; i < count; i++) {
        CHECK(pthread_create(&threads[i], NULL, hold_a_heap, NULL) == 0);
    }
    for (unsigned i = 0; i < count; i++) {
        CHECK(pthread_join(threads[i], &their_heaps[i]) == 0);
    }
    CHECK_EQUAL(heaps.made, THREADS);
    CHECK_VALID();
}

static void threads_at_once_have_heaps_of_their_own(void) {
    threads_come_and_go(THREADS);
    for (int i = 0; i < THREADS; i++) {
        for (int j = 0; j < i; j++) {
            CHECK(their_heaps[j] != their_heaps[i]);
        }
    }
    CHECK_EQUAL(heaps.in_use, 0);
    check_nothing_left();
}

static unsigned bare_heaps(void) {
    unsigned bare = 0;
    for (uint32_t id = 1; id <= heaps.made; id++) {
        bare += heap_is_bare(heap_of(id));
    }
    return bare;
}

/* The pages that only heaps without a thread need. */
static size_t present_in_heaps(void) {
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    size_t bytes = 0;
    for (uint32_t id = 1; id <= heaps.made; id++) {
        const uintptr_t start = round_up((uintptr_t)heap_of(id), page);
        const uintptr_t end = round_down((uintptr_t)heap_of(id) + HEAP_BARE_BYTES, page);
        bytes += start < end ? present_bytes((void *)start, end - start) : 0;
    }
    return bytes;
}

/* All that looks at other threads' heaps looks at bare ones too. */
static void look_at_all_heaps(void) {
    struct mems_engine_stats stats;
    engine_trim();
    upkeep_of_all();
    upkeep_reclaim_all(heap_mine);
    idle_steal_anywhere(heap_mine, size_class_of(100));
    engine_stats(&stats);
    CHECK_VALID();
}

static void use_bare_heaps(void *unused) {
    (void)unused;
    CHECK_VALID();
    look_at_all_heaps();
    CHECK_EQUAL(bare_heaps(), THREADS - 1);
    threads_come_and_go(THREADS - 1);
    CHECK_EQUAL(bare_heaps(), 0);
    check_nothing_left();
}

static void unused_heaps_are_bare_after_a_trim(void) {
    begin_heap();
    threads_come_and_go(THREADS - 1);
    const size_t before = present_in_heaps();
    engine_trim();
    CHECK_EQUAL(bare_heaps(), THREADS - 1);
    CHECK(present_in_heaps() <= 2 * (size_t)sysconf(_SC_PAGESIZE) || !os_purge_zeroes()); /* one is in use */
    CHECK(before == 0 || before > (THREADS - 1) * (HEAP_BARE_BYTES - 2 * OS_PAGE));
    look_at_all_heaps();
    expect_success(use_bare_heaps, NULL); /* in the child too */
    use_bare_heaps(NULL);
}

/* In each period some are needed again, and stay as they are. */
static void heaps_not_needed_for_long_are_bare(void) {
    const uint64_t decay_ms = spans.decay_ms;
    uint64_t now_ms = os_coarse_ms();
    begin_heap();
    threads_come_and_go(THREADS - 1);
    unused_heaps_decay(now_ms);
    threads_come_and_go(10);
    unused_heaps_decay(now_ms + decay_ms - 1);
    CHECK_EQUAL(bare_heaps(), 0);
    unused_heaps_decay(now_ms += decay_ms);
    CHECK_EQUAL(bare_heaps(), THREADS - 1 - 10);
    threads_come_and_go(5);
    CHECK_EQUAL(bare_heaps(), THREADS - 1 - 10); /* the others come first */
    unused_heaps_decay(now_ms += decay_ms);
    CHECK_EQUAL(bare_heaps(), THREADS - 1 - 5);
    threads_come_and_go(THREADS - 1);
    CHECK_EQUAL(bare_heaps(), 0);
    check_nothing_left();
}

/* A call goes on while it has time, so a program that calls seldom gives thousands of them back soon. */
static void heaps_of_many_ended_threads_are_bare_soon(void) {
    enum { MANY = 1000 };
    static struct heap *many[MANY];
    bool alone = false;
    begin_heap();
    clock_stop();
    for (unsigned i = 0; i < MANY; i++) {
        many[i] = heap_obtain(0, &alone);
        CHECK(many[i] != NULL);
    }
    for (unsigned i = 0; i < MANY; i++) {
        heap_retire(many[i]);
    }
    unused_heaps_decay(os_coarse_ms());
    CHECK_EQUAL(bare_heaps(), 0);
    clock_advance((uint32_t)spans.decay_ms);
    unused_heaps_decay(os_coarse_ms());
    CHECK_EQUAL(bare_heaps(), MANY);
    CHECK_VALID();
}

/* Blocks of several slabs, given back in any order without being cached. */
static void blocks_given_go_to_their_slabs(void) {
    struct heap *heap = begin_heap();
    for (int i = 0; i < BLOCKS; i++) {
        blocks[i] = engine_alloc(700);
    }
    for (int i = BLOCKS; i > 1; i--) {
        size_t other = random_below(&fresh_random, (size_t)i);
        void *block = blocks[i - 1];
        blocks[i - 1] = blocks[other];
        blocks[other] = block;
    }
    for (int i = 0; i < BLOCKS; i += 50) {
        CHECK_EQUAL(magazine_prove(&blocks[i], 50), 50);
        lock_take(&heap->lock);
        heap_give(heap, &blocks[i], 50);
        lock_give(&heap->lock);
        CHECK_VALID();
        for (int j = i; j < i + 50; j++) {
            struct block block = block_at(blocks[j]);
            CHECK(!block_is_live_start(&block, blocks[j]));
        }
    }
    check_nothing_left();
}

/* The heap keeps an empty slab only if it has no other free slots of that class. */
static void empty_slabs_go_back_but_for_the_last(void) {
    for (int i = 0; i < BLOCKS; i++) {
        blocks[i] = engine_alloc(4096);
    }
    CHECK(spans.live_units >= BLOCKS * 4096 / UNIT);
    for (int i = 0; i < BLOCKS; i++) {
        engine_free(blocks[i]);
    }
    CHECK_VALID();
    flush_mine();
    CHECK_VALID();
    CHECK_EQUAL(spans.live_units, size_classes[size_class_of(4096)].units);
    check_nothing_left();
}

static void the_slab_that_is_filled_up_has_free_slots(void) {
    struct heap *heap = begin_heap();
    unsigned size_class = size_class_of(512);
    size_t with_room = 0;
    for (int step_number = 0, held = 0; step_number < 20000; step_number++) {
        if (held < BLOCKS && (held == 0 || random_below(&fresh_random, 100) < 55)) {
            blocks[held++] = engine_alloc(512);
        } else {
            size_t i = random_below(&fresh_random, (size_t)held);
            engine_free(blocks[i]);
            blocks[i] = blocks[--held];
        }
        if (step_number % 100 == 0) {
            CHECK_VALID(); /* slabs with free slots come first */
            const struct slab *slab = heap_slab_with_room(heap, size_class);
            CHECK(slab == NULL || slab_free_slots(slab) > 0);
            CHECK(slab == NULL || heap->classes[size_class].slabs.next == &slab->link);
            with_room += slab != NULL;
        }
    }
    CHECK(with_room > 100);
}

static void a_trim_keeps_what_is_live_alone(void) {
    size_t size = 0;
    for (int i = 0; i < BLOCKS; i++) {
        size = 16 + random_below(&fresh_random, 3000);
        blocks[i] = engine_alloc(size);
        memset(blocks[i], i, size);
    }
    for (int i = 0; i < BLOCKS; i++) {
        if (i % 500) {
            engine_free(blocks[i]);
        }
    }
    engine_trim();
    CHECK_VALID();
    CHECK_AT_MOST(spans.live_units, BLOCKS / 500);
    for (int i = 0; i < BLOCKS; i += 500) {
        CHECK_EQUAL(*(unsigned char *)blocks[i], (unsigned char)i);
        engine_free(blocks[i]);
    }
    check_nothing_left();
}

/* --- fork -------------------------------------------------------------------------------------------------------- */

static void *hold_blocks(void *unused) {
    (void)unused;
    for (int i = 0; i < BLOCKS; i++) {
        blocks[i] = engine_alloc((size_t)(i % 1000) + 1);
        memset(blocks[i], i, (size_t)(i % 1000) + 1);
    }
    for (int i = BLOCKS / 2; i < BLOCKS; i++) {
        engine_free(blocks[i]); /* so that the magazines hold some */
    }
    engine_free(engine_alloc(MEDIUM_MAX + 1)); /* and the depot */
    CHECK_EQUAL(large_cache_count(&heap_mine->larges), 1);
    pthread_barrier_wait(&step);
    pthread_barrier_wait(&step);
    return NULL;
}

static void use_the_other_thread_s_blocks(void *unused) {
    (void)unused;
    CHECK_VALID();
    CHECK_EQUAL(heaps.in_use, 1);
    for (int i = 0; i < BLOCKS / 2; i++) {
        CHECK_EQUAL(*(unsigned char *)blocks[i], (unsigned char)i);
        void *block = engine_alloc((size_t)(i % 1000) + 1);
        CHECK(block != NULL);
        engine_free(blocks[i]);
        blocks[i] = block;
    }
    CHECK(heap_mine->counters.adoptions > 0);
    CHECK_VALID();
    for (int i = 0; i < BLOCKS / 2; i++) {
        engine_free(blocks[i]);
    }
    engine_trim();
    CHECK_VALID();
    CHECK(!list_empty(&heaps.unused)); /* the other thread's heap is available to another */
}

static void a_child_takes_over_what_other_threads_had(void) {
    void *block = engine_alloc(10);
    engine_free(engine_alloc(MEDIUM_MAX + 1));
    pthread_t thread = thread_hold(hold_blocks, NULL, &step);
    child_succeeds(use_the_other_thread_s_blocks, NULL);
    thread_release(thread, &step);
    engine_free(block);
    CHECK_VALID(); /* the parent is not affected */
    for (int i = 0; i < BLOCKS / 2; i++) {
        CHECK_EQUAL(*(unsigned char *)blocks[i], (unsigned char)i);
        engine_free(blocks[i]);
    }
    check_nothing_left();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        FRESH(a_heap_is_used_again_by_the_next_thread),
        FRESH(a_heap_that_an_ended_thread_has_left_is_used_again),
        FRESH(a_thread_that_neither_allocates_nor_frees_has_no_heap),
        FRESH(threads_at_once_have_heaps_of_their_own),
        IN_BOTH_MODES(unused_heaps_are_bare_after_a_trim),
        FRESH(heaps_not_needed_for_long_are_bare),
        FRESH(heaps_of_many_ended_threads_are_bare_soon),
        FRESH(blocks_given_go_to_their_slabs),
        IN_BOTH_MODES(empty_slabs_go_back_but_for_the_last),
        IN_BOTH_MODES(the_slab_that_is_filled_up_has_free_slots),
        IN_BOTH_MODES(a_trim_keeps_what_is_live_alone),
        IN_BOTH_MODES(a_child_takes_over_what_other_threads_had),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
