/*
 * upkeep_test.c - memory that belongs to a thread which sleeps: others may use what was freed, and the system gets it
 * back; what its magazines hold stays.
 */
#include "support/fresh.h"

#include <errno.h>

#include "engine/memory/span.h"
#include "engine/slabs/lookup.h"
#include "engine/slabs/slab.h"
#include "engine/tables/live_map.h"
#include "engine/upkeep/before_growth.h"
#include "engine/upkeep/decay.h"
#include "engine/upkeep/idle.h"
#include "engine/upkeep/page_purge.h"
#include "os/os.h"
#include "support/clock.h"
#include "support/engine_heap.h"
#include "support/engine_locked.h"
#include "support/marked.h"
#include "support/thread.h"

#define BLOCKS_MAX 400000u

/* Longer than a thread must be away from slow paths for its heap to be idle. The clock stands still otherwise. */
#define IDLE_MS 30u

/* A thread that allocates, and sleeps until it is woken for its end. */
struct sleeper {
    pthread_t thread;
    pthread_barrier_t step;
    size_t size;
    size_t count; /* blocks it is to have; of these there is memory for */
    size_t got;
    size_t cached; /* how many others it has freed itself */
    bool flushes;  /* and has nothing in its magazines */
    struct heap *heap;
    void (*last)(struct sleeper *sleeper); /* what it does when it is woken; NULL: nothing */
    void **blocks;
};

static void *sleeper_blocks[BLOCKS_MAX];

static void *sleep_with_blocks(void *argument) {
    struct sleeper *sleeper = argument;
    void *cached[64];
    for (; sleeper->got < sleeper->count; sleeper->got++) {
        unsigned char *block = engine_alloc(sleeper->size);
        if (block == NULL) {
            break;
        }
        memset(block, (int)(sleeper->got % 251), sleeper->size);
        sleeper->blocks[sleeper->got] = block;
    }
    for (size_t i = 0; i < sleeper->cached; i++) {
        cached[i] = engine_alloc(sleeper->size);
    }
    for (size_t i = 0; i < sleeper->cached; i++) {
        engine_free(cached[i]);
    }
    if (sleeper->flushes) {
        flush_mine();
    }
    sleeper->heap = heap_mine;
    pthread_barrier_wait(&sleeper->step);
    pthread_barrier_wait(&sleeper->step);
    if (sleeper->last != NULL) {
        sleeper->last(sleeper);
    }
    return NULL;
}

/* Returns when the thread has its blocks. */
static void sleeper_start(struct sleeper *sleeper) {
    CHECK(sleeper->count <= BLOCKS_MAX && sleeper->cached <= 64);
    sleeper->blocks = sleeper->blocks != NULL ? sleeper->blocks : sleeper_blocks;
    sleeper->thread = thread_hold(sleep_with_blocks, sleeper, &sleeper->step);
}

static void sleeper_end(struct sleeper *sleeper) {
    thread_release(sleeper->thread, &sleeper->step);
}

/* Every `stride`-th of its blocks, from `first` on. */
static void sleeper_free(const struct sleeper *sleeper, size_t first, size_t stride) {
    for (size_t i = first; i < sleeper->got; i += stride) {
        engine_free(sleeper->blocks[i]);
    }
}

static void sleeper_check(const struct sleeper *sleeper, size_t first, size_t stride) {
    for (size_t i = first; i < sleeper->got; i += stride) {
        const unsigned char *bytes = sleeper->blocks[i];
        CHECK_EQUAL(bytes[0], i % 251);
        CHECK(memcmp(bytes, bytes + 1, sleeper->size - 1) == 0); /* all are equal */
    }
}

/* A pass that looks for idle heaps, whenever the last one was. */
static void look(void) {
    heap_mine->looked_ms = 0;
    upkeep_pass(heap_mine, os_coarse_ms());
}

/* All heaps have been seen, and been idle since. */
static void let_heaps_be_idle(void) {
    for (uint32_t i = 0; i < heaps.made; i++) {
        look();
    }
    clock_advance(IDLE_MS);
}

static void *free_given_blocks(void *count) {
    for (size_t i = 0; i < *(const size_t *)count; i++) {
        engine_free(sleeper_blocks[i]);
    }
    return NULL;
}

/* --- Memory that is wholly free ---------------------------------------------------------------------------------- */

/* A heap is left alone while its thread may be at work. */
static void an_idle_heap_is_reclaimed_and_no_other(void) {
    struct sleeper sleeper = {.size = 4096, .count = 400};
    engine_free(engine_alloc(1));
    sleeper_start(&sleeper);
    sleeper_free(&sleeper, 0, 1);
    atomic_store(&sleeper.heap->seen_calls, sleeper.heap->slow_calls - 1); /* not seen yet since it was at work */
    size_t units = inbox_length(sleeper.heap);
    size_t live = spans.live_units;
    CHECK(units > 20);
    for (int pass = 0; pass < 3; pass++) {
        look();
    }
    CHECK_EQUAL(inbox_length(sleeper.heap), units);
    CHECK_EQUAL(spans.live_units, live);
    clock_advance(IDLE_MS);
    look();
    look();
    CHECK_EQUAL(inbox_length(sleeper.heap), 0);
    CHECK_AT_MOST(spans.live_units, live / 10);
    CHECK_VALID();
    sleeper_end(&sleeper);
    check_nothing_left();
}

/* Blocks that arrive in a reclaimed heap are reclaimed as well; the last slab of a class goes, too. */
static void an_idle_heap_is_reclaimed_again(void) {
    struct sleeper sleeper = {.size = 4096, .count = 400, .flushes = true};
    const struct list *slabs;
    engine_free(engine_alloc(1));
    sleeper_start(&sleeper);
    slabs = &sleeper.heap->classes[size_class_of(sleeper.size)].slabs;
    for (size_t part = 0; part < 4; part++) {
        CHECK(!list_empty(slabs));
        for (size_t i = 100 * part; i < 100 * (part + 1); i++) {
            engine_free(sleeper.blocks[i]);
        }
        let_heaps_be_idle();
        look();
        look();
        CHECK_EQUAL(inbox_length(sleeper.heap), 0);
        CHECK_VALID();
    }
    CHECK(list_empty(slabs));
    sleeper_end(&sleeper);
    check_nothing_left();
}

/* The blocks of one thread are freed by another one, which then needs as much. */
static void what_was_freed_in_an_idle_heap_serves_others(void) {
    struct sleeper sleeper = {.size = 200, .count = 100000};
    static void *mine[100000];
    engine_free(engine_alloc(1));
    sleeper_start(&sleeper);
    size_t live = spans.live_units;
    sleeper_free(&sleeper, 0, 1);
    let_heaps_be_idle();
    for (size_t i = 0; i < sleeper.count; i++) {
        mine[i] = engine_alloc(sleeper.size);
        CHECK(mine[i] != NULL);
        memset(mine[i], 7, sleeper.size);
        CHECK_AT_MOST(spans.live_units, live + live / 4); /* twice as many without the sleeper's */
    }
    CHECK_VALID();
    for (size_t i = 0; i < sleeper.count; i++) {
        engine_free(mine[i]);
    }
    sleeper_end(&sleeper);
    check_nothing_left();
}

/* A trim asks no heap whether it is idle. */
static void a_trim_of_any_thread_gives_back_what_a_sleeper_has_no_use_for(void) {
    struct sleeper sleeper = {.size = 200, .count = 100000};
    sleeper_start(&sleeper);
    size_t live = spans.live_units;
    sleeper_free(&sleeper, 0, 1);
    engine_trim();
    CHECK_AT_MOST(spans.live_units, live / 100);
    CHECK(spans.dirty_units == 0 || !os_purge_zeroes());
    CHECK_VALID();
    sleeper_end(&sleeper);
    check_nothing_left();
}

/* Several threads in turn have most of the window, another one frees it all, and they sleep: nothing fails. */
static void no_allocation_fails_for_memory_that_a_sleeper_has_no_use_for(void) {
    enum { SLEEPERS = 6 };
    static struct sleeper sleepers[SLEEPERS];
    engine_free(engine_alloc(1));
    for (size_t i = 0; i < SLEEPERS; i++) {
        sleepers[i] = (struct sleeper){.size = 150 + 10 * i, .count = 10 * MIB / 208};
        sleeper_start(&sleepers[i]);
        CHECK_EQUAL(sleepers[i].got, sleepers[i].count);
        sleeper_check(&sleepers[i], 0, 1);
        sleeper_free(&sleepers[i], 0, 1);
        CHECK_VALID();
    }
    CHECK_EQUAL(mems_root.failures, 0);
    engine_trim();
    CHECK_AT_MOST(spans.live_units, SLEEPERS * 16);
    for (size_t i = 0; i < SLEEPERS; i++) {
        sleeper_end(&sleepers[i]);
    }
    check_nothing_left();
}

/* The same for a large block, when no mapping beside the window is possible. */
static void no_large_allocation_fails_for_it_either(void) {
    struct sleeper sleeper = {.size = 200, .count = 50 * MIB / 208};
    engine_free(engine_alloc(1));
    sleeper_start(&sleeper);
    CHECK_EQUAL(sleeper.got, sleeper.count);
    sleeper_free(&sleeper, 0, 1);
    os_inject(OS_CALL_MMAP, 0, UINT64_MAX, ENOMEM);
    void *block = engine_alloc(40 * MIB);
    os_inject_clear();
    CHECK(block != NULL && window_holds(block));
    CHECK_VALID();
    engine_free(block);
    sleeper_end(&sleeper);
    check_nothing_left();
}

/* Heaps that have not been seen since their threads were at work are not idle. */
static void make_unseen(struct sleeper *sleepers, size_t count) {
    for (size_t i = 0; i < count; i++) {
        atomic_store(&sleepers[i].heap->seen_calls, sleepers[i].heap->slow_calls - 1);
    }
}

/* This thread frees each sleeper's blocks from `first` to `end`. However long that takes, no pass reclaims any. */
static void free_unseen(struct sleeper *sleepers, size_t count, size_t first, size_t end) {
    for (size_t i = 0; i < count; i++) {
        for (size_t k = first; k < end; k++) {
            make_unseen(sleepers, count);
            engine_free(sleepers[i].blocks[k]);
        }
    }
    for (size_t i = 0; i < count; i++) {
        (void)idle_now(sleepers[i].heap, os_coarse_ms()); /* now they are seen */
    }
    clock_advance(IDLE_MS);
}

/* Idle sleepers whose blocks, of a page each, this thread has freed, but for the last `kept`. */
static void start_with_freed_blocks(struct sleeper *sleepers, size_t count, size_t blocks, size_t kept) {
    static void *room[16][400];
    CHECK(count <= 16 && blocks <= 400);
    engine_free(engine_alloc(1));
    for (size_t i = 0; i < count; i++) {
        sleepers[i] = (struct sleeper){.size = OS_PAGE, .count = blocks, .blocks = room[i], .flushes = true};
        sleeper_start(&sleepers[i]);
    }
    free_unseen(sleepers, count, 0, blocks - kept);
}

static size_t count_reclaimed(const struct sleeper *sleepers, size_t count) {
    size_t reclaimed = 0;
    for (size_t i = 0; i < count; i++) {
        reclaimed += inbox_length(sleepers[i].heap) == 0;
    }
    return reclaimed;
}

static void end_all(struct sleeper *sleepers, size_t count) {
    CHECK_VALID();
    for (size_t i = 0; i < count; i++) {
        sleeper_end(&sleepers[i]);
    }
    check_nothing_left();
}

/* One heap's memory is enough for a few units; then there is no reason to take the other's. */
static void idle_heaps_are_reclaimed_until_there_is_room(void) {
    struct sleeper sleepers[2];
    start_with_freed_blocks(sleepers, 2, 400, 0);
    CHECK(count_reclaimed(sleepers, 2) == 0 && !span_dirty_fits(8, SIZE_MAX));
    CHECK(idle_reclaim_for(heap_mine, os_coarse_ms(), 8));
    CHECK(count_reclaimed(sleepers, 2) == 1 && span_dirty_fits(8, SIZE_MAX));
    CHECK(!idle_reclaim_for(heap_mine, os_coarse_ms(), 1000));
    CHECK_EQUAL(count_reclaimed(sleepers, 2), 2);
    CHECK(!idle_reclaim_for(heap_mine, os_coarse_ms(), 1)); /* nothing is left to reclaim */
    end_all(sleepers, 2);
}

/* A thread that is about to grow waits for a few heaps, however many are idle. */
static void a_few_idle_heaps_are_reclaimed_at_a_time(void) {
    enum { SLEEPERS = 12, LOOKS = 8 };
    struct sleeper sleepers[SLEEPERS];
    start_with_freed_blocks(sleepers, SLEEPERS, 40, 0);
    make_unseen(sleepers, SLEEPERS);
    CHECK(!idle_reclaim_for(heap_mine, os_coarse_ms(), 1));
    CHECK_EQUAL(count_reclaimed(sleepers, SLEEPERS), 0); /* none was idle, for all that was known */
    clock_advance(IDLE_MS);
    CHECK(!idle_reclaim_for(heap_mine, os_coarse_ms(), 1000));
    CHECK_EQUAL(count_reclaimed(sleepers, SLEEPERS), LOOKS);
    end_all(sleepers, SLEEPERS);
}

/* Whoever frees without a heap does it too. */
static void a_thread_without_a_heap_reclaims_idle_ones(void) {
    struct sleeper sleeper;
    CHECK_EQUAL(idle_looks(NULL), 0);
    start_with_freed_blocks(&sleeper, 1, 400, 0);
    upkeep_of_others();
    CHECK_EQUAL(count_reclaimed(&sleeper, 1), 1);
    end_all(&sleeper, 1);
}

static void a_thread_alone_looks_at_no_heap(void) {
    engine_free(engine_alloc(1));
    CHECK_EQUAL(idle_looks(heap_mine), 0);
    CHECK_EQUAL(idle_looks(NULL), 1);
}

/* Large blocks that an idle heap has cached go back, bit by bit. */
static void cached_large_blocks_of_an_idle_heap_go_back(void) {
    struct sleeper sleeper = {.size = 200 * KIB, .count = 1, .cached = 3};
    engine_free(engine_alloc(1));
    sleeper_start(&sleeper);
    struct large_cache *larges = &sleeper.heap->larges;
    CHECK_EQUAL(large_cache_count(larges), 3);
    lock_take(&sleeper.heap->lock);
    idle_reclaim(sleeper.heap, 1);
    lock_give(&sleeper.heap->lock);
    CHECK_EQUAL(large_cache_count(larges), 2);
    (void)idle_now(sleeper.heap, os_coarse_ms());
    clock_advance(IDLE_MS);
    CHECK(idle_reclaim_if(sleeper.heap, os_coarse_ms()));
    CHECK_EQUAL(large_cache_count(larges), 0);
    CHECK(!idle_reclaim_if(sleeper.heap, os_coarse_ms()));
    sleeper_free(&sleeper, 0, 1);
    end_all(&sleeper, 1);
}

/* A thread that has done no pass for long does one at the next slow call that reads the clock. */
static void a_late_pass_is_made_up_for(void) {
    engine_free(engine_alloc(1));
    const uint64_t before_ms = os_coarse_ms() - 60;
    heap_mine->passed_ms = before_ms;
    heap_mine->slow_calls = 7;
    upkeep(heap_mine);
    CHECK(heap_mine->passed_ms != before_ms);
}

/* Slabs grow by that many pages without upkeep_before_peak. */
static void grow_unnoticed(void **blocks, size_t count) {
    const unsigned size_class = size_class_of(OS_PAGE);
    lock_take(&heap_mine->lock);
    for (size_t slots = 0; slots < count; slots += size_classes[size_class].slots) {
        CHECK(heap_grow(heap_mine, size_class) != NULL);
    }
    lock_give(&heap_mine->lock);
    for (size_t i = 0; i < count; i++) {
        blocks[i] = engine_alloc(OS_PAGE);
        CHECK(blocks[i] != NULL);
    }
}

static void shrink(void **blocks, size_t count) {
    for (size_t i = 0; i < count; i++) {
        engine_free(blocks[i]);
    }
}

static void idle_heaps_make_way_before_slabs_exceed_their_peak(void) {
    struct sleeper sleepers[2];
    void *mine[256];
    start_with_freed_blocks(sleepers, 2, 400, 400);
    grow_unnoticed(mine, 256);
    free_unseen(sleepers, 2, 0, 400);
    upkeep_before_peak(heap_mine, 8);
    CHECK_EQUAL(count_reclaimed(sleepers, 2), 1);
    shrink(mine, 256);
    end_all(sleepers, 2);
}

/* A thread that was at work a moment ago has freed all that it had. */
static void empty_slabs_of_a_heap_that_is_not_idle_make_way(void) {
    struct sleeper sleeper = {.size = 4096, .cached = 3, .flushes = true};
    void *mine[256];
    engine_free(engine_alloc(1));
    sleeper_start(&sleeper);
    grow_unnoticed(mine, 256);
    const struct list *slabs = &sleeper.heap->classes[size_class_of(4096)].slabs;
    CHECK_EQUAL(list_length(slabs), 1);
    CHECK_EQUAL(heaps.emptied, sleeper.heap->id);
    atomic_store(&sleeper.heap->seen_calls, sleeper.heap->slow_calls - 1); /* not seen yet since it was at work */
    upkeep_before_peak(heap_mine, 1);
    CHECK(list_empty(slabs));
    CHECK(span_dirty_fits(1, 1));
    CHECK_EQUAL(heaps.emptied, 0);
    CHECK_VALID();
    shrink(mine, 256);
    sleeper_end(&sleeper);
    check_nothing_left();
}

/* A busy heap waits for its lock meanwhile, and may have many thousands of slabs with free slots. */
static void of_a_heap_that_is_not_idle_only_the_first_slabs_are_examined(void) {
    struct sleeper sleeper = {.size = 4096, .cached = 1, .flushes = true};
    engine_free(engine_alloc(1));
    const unsigned size_class = size_class_of(4096);
    sleeper.count = 4 * (size_t)size_classes[size_class].slots;
    sleeper_start(&sleeper);
    sleeper_free(&sleeper, 0, size_classes[size_class].slots);
    collect(sleeper.heap, SIZE_MAX, false);
    struct list *slabs = &sleeper.heap->classes[size_class].slabs;
    struct list *empty = slabs->next;
    CHECK_EQUAL(list_length(slabs), 5);
    CHECK(slab_empty(CONTAINER_OF(empty, struct slab, link)));
    lock_take(&sleeper.heap->lock);
    list_remove(empty);
    list_push_back(slabs, empty);
    lock_give(&sleeper.heap->lock);
    CHECK_EQUAL(heaps.emptied, sleeper.heap->id);
    idle_take_empty(heap_mine, 1);
    CHECK_EQUAL(heaps.emptied, 0);
    CHECK_EQUAL(list_length(slabs), 5);
    lock_take(&sleeper.heap->lock);
    list_remove(empty);
    list_push_front(slabs, empty);
    lock_give(&sleeper.heap->lock);
    atomic_store(&heaps.emptied, sleeper.heap->id);
    CHECK(idle_take_empty(heap_mine, 1));
    CHECK_EQUAL(list_length(slabs), 4);
    CHECK_VALID();
    for (unsigned slot = 1; slot < size_classes[size_class].slots; slot++) {
        sleeper_free(&sleeper, slot, size_classes[size_class].slots);
    }
    sleeper_end(&sleeper);
    check_nothing_left();
}

/* When they have no room, slabs may grow by a step before it is tried again. */
static void way_is_not_made_again_before_slabs_have_grown(void) {
    struct sleeper sleepers[2];
    void *mine[256];
    start_with_freed_blocks(sleepers, 2, 400, 400);
    grow_unnoticed(mine, 256);
    free_unseen(sleepers, 2, 0, 300);
    upkeep_before_peak(heap_mine, 1000);
    CHECK_EQUAL(count_reclaimed(sleepers, 2), 2);
    free_unseen(sleepers, 2, 300, 400);
    upkeep_before_peak(heap_mine, 8);
    CHECK_EQUAL(count_reclaimed(sleepers, 2), 0);
    shrink(mine, 256);
    end_all(sleepers, 2);
}

/* A purge asks for those of idle heaps, or for those of the others. */
static void free_pages_of_idle_heaps_go_before_those_of_others(void) {
    struct sleeper sleepers[2];
    static void *room[2][100];
    engine_free(engine_alloc(1));
    for (size_t i = 0; i < 2; i++) {
        sleepers[i] = (struct sleeper){.size = 16384, .count = 100, .blocks = room[i], .flushes = true};
        sleeper_start(&sleepers[i]);
    }
    for (size_t i = 0; i < 2; i++) {
        sleeper_free(&sleepers[i], 0, 2);
        collect(sleepers[i].heap, SIZE_MAX, false);
        (void)idle_now(sleepers[i].heap, os_coarse_ms());
    }
    clock_advance(IDLE_MS);
    make_unseen(&sleepers[1], 1);
    CHECK(page_purge_others(heap_mine, os_coarse_ms(), true, 10000) != 0 || os_page_size() > 16384);
    make_unseen(&sleepers[1], 1);
    CHECK_EQUAL(page_purge_others(heap_mine, os_coarse_ms(), true, 10000), 0);
    make_unseen(&sleepers[1], 1);
    CHECK(page_purge_others(heap_mine, os_coarse_ms(), false, 10000) != 0 || os_page_size() > 16384);
    for (size_t i = 0; i < 2; i++) {
        sleeper_free(&sleepers[i], 1, 2);
    }
    end_all(sleepers, 2);
}

/* --- Slots ------------------------------------------------------------------------------------------------------- */

/* The other half of each slab is live: its slots are taken one at a time. */
static void slots_that_were_freed_in_an_idle_heap_are_stolen(void) {
    struct sleeper sleeper = {.size = 1000, .count = 2000};
    static void *mine[1000];
    engine_free(engine_alloc(1));
    sleeper_start(&sleeper);
    sleeper_free(&sleeper, 0, 2);
    let_heaps_be_idle();
    for (size_t i = 0; i < 4; i++) {
        CHECK(engine_alloc(sleeper.size) != NULL); /* a thread's first blocks are shared */
    }
    size_t live = spans.live_units;
    for (size_t i = 0; i < 1000; i++) {
        mine[i] = engine_alloc(sleeper.size);
        CHECK(mine[i] != NULL);
        memset(mine[i], 255, sleeper.size);
    }
    CHECK(sleeper.heap->counters.stolen > 900);
    CHECK_AT_MOST(spans.live_units, live + 2 * size_classes[size_class_of(sleeper.size)].units);
    CHECK_VALID();
    sleeper_check(&sleeper, 1, 2);
    for (size_t i = 0; i < 1000; i++) {
        CHECK_EQUAL(block_at(mine[i]).state, BLOCK_STATE_LIVE);
        engine_free(mine[i]);
    }
    CHECK_VALID();
    sleeper_free(&sleeper, 1, 2);
    sleeper_end(&sleeper);
    engine_trim();
    CHECK_VALID();
}

static uint64_t stolen_by_pairs(const struct sleeper *sleeper, size_t pairs) {
    const uint64_t before = sleeper->heap->counters.stolen;
    for (size_t i = 0; i < pairs; i++) {
        void *block = engine_alloc(sleeper->size);
        CHECK(block != NULL);
        engine_free(block);
    }
    return sleeper->heap->counters.stolen - before;
}

/* A stolen block that is freed goes back, and would be stolen again; so the thread gets its own slab. */
static void blocks_do_not_bounce_between_a_thread_and_an_idle_heap(void) {
    struct sleeper sleeper = {.size = 1000, .count = 2000};
    engine_free(engine_alloc(1));
    sleeper_start(&sleeper);
    sleeper_free(&sleeper, 0, 2);
    let_heaps_be_idle();
    uint64_t stolen = stolen_by_pairs(&sleeper, 2000);
    CHECK(stolen > 0);
    CHECK_AT_MOST(stolen, 10);
    let_heaps_be_idle();
    stolen = sleeper.heap->counters.stolen;
    while (sleeper.heap->counters.stolen == stolen) { /* until its slab is full */
        CHECK(engine_alloc(sleeper.size) != NULL);
    }
    stolen = stolen_by_pairs(&sleeper, 2000);
    CHECK(stolen > 100);
    CHECK_AT_MOST(stolen, 210);
    CHECK_VALID();
    sleeper_free(&sleeper, 1, 2);
    sleeper_end(&sleeper);
}

/* Slabs whose free slots the sleeper has settled itself stand before those with slots to steal. */
static void settled_slots_do_not_hide_those_that_can_be_stolen(void) {
    enum { SETTLED = 10 };
    struct sleeper sleeper = {.size = 1000, .count = 2000};
    engine_free(engine_alloc(1));
    sleeper_start(&sleeper);
    sleeper_free(&sleeper, 0, 2);
    struct list *slabs = &sleeper.heap->classes[size_class_of(sleeper.size)].slabs;
    lock_take(&sleeper.heap->lock);
    inbox_collect(sleeper.heap, SIZE_MAX, false);
    struct list *link = slabs->next;
    for (size_t i = 0; i < SETTLED; i++, link = link->next) {
        slab_settle(CONTAINER_OF(link, struct slab, link));
    }
    lock_give(&sleeper.heap->lock);
    let_heaps_be_idle();
    for (size_t i = 0; i < 100; i++) {
        CHECK(engine_alloc(sleeper.size) != NULL);
    }
    CHECK(sleeper.heap->counters.stolen > 50);
    CHECK_VALID();
    sleeper_free(&sleeper, 1, 2);
    sleeper_end(&sleeper);
}

/* The window is full, and half of its blocks are freed. All of these are found before an allocation fails. */
static void slots_are_stolen_anywhere_before_an_allocation_fails(void) {
    struct sleeper sleeper = {.size = 1000, .count = BLOCKS_MAX};
    sleeper_start(&sleeper);
    CHECK(sleeper.got > 5000 && sleeper.got < sleeper.count);
    sleeper_free(&sleeper, 0, 2);
    size_t freed = (sleeper.got + 1) / 2;
    size_t got = 0;
    for (void *block; (block = engine_alloc(sleeper.size)) != NULL; got++) {
        memset(block, 255, sleeper.size);
        CHECK_AT_MOST(got, freed + 64);
    }
    CHECK(got >= freed);
    CHECK(sleeper.heap->counters.stolen > freed / 2);
    CHECK_VALID();
    sleeper_check(&sleeper, 1, 2);
    sleeper_free(&sleeper, 1, 2);
    sleeper_end(&sleeper);
    CHECK_VALID();
}

static void take_what_is_cached(struct sleeper *sleeper) {
    uint64_t refills = sleeper->heap->counters.refills;
    unsigned count = magazine_count(sleeper->heap, size_class_of(sleeper->size));
    for (unsigned i = 0; i < count; i++) {
        void *block = engine_alloc(sleeper->size);
        CHECK(block != NULL && live_test(block));
        sleeper->blocks[sleeper->got++] = block;
    }
    CHECK_EQUAL(sleeper->heap->counters.refills, refills);
}

/* Whatever others do, a thread finds in its magazines what it left there. */
static void what_a_sleeper_s_magazines_hold_stays(void) {
    enum { COUNT = 1000, CACHED = 20 };
    struct sleeper sleeper = {.size = 1000, .count = COUNT, .cached = CACHED, .last = take_what_is_cached};
    const unsigned size_class = size_class_of(sleeper.size);
    engine_free(engine_alloc(1));
    sleeper_start(&sleeper);
    unsigned held = magazine_count(sleeper.heap, size_class);
    CHECK(held > 0);
    sleeper_free(&sleeper, 0, 1);
    engine_trim();
    let_heaps_be_idle();
    for (size_t i = 0; i < COUNT; i++) {
        CHECK(engine_alloc(sleeper.size) != NULL);
    }
    CHECK_EQUAL(magazine_count(sleeper.heap, size_class), held);
    CHECK_VALID();
    sleeper_end(&sleeper);
    for (size_t i = COUNT; i < COUNT + held; i++) {
        engine_free(sleeper.blocks[i]);
    }
    CHECK_VALID();
}

static void store_much(struct sleeper *sleeper) {
    for (size_t i = 0; i < sleeper->got; i++) {
        engine_free(sleeper->blocks[i]);
    }
    CHECK(depot_bytes(&heap_mine->depot) > 0);
    pthread_barrier_wait(&sleeper->step);
    pthread_barrier_wait(&sleeper->step);
}

static void the_depot_of_an_idle_heap_goes_back(void) {
    struct sleeper sleeper = {.size = 64, .count = 1000, .last = store_much};
    engine_free(engine_alloc(1));
    sleeper_start(&sleeper);
    pthread_barrier_wait(&sleeper.step);
    pthread_barrier_wait(&sleeper.step);
    let_heaps_be_idle();
    look();
    look();
    CHECK_EQUAL(depot_bytes(&sleeper.heap->depot), 0);
    CHECK(magazine_count(sleeper.heap, size_class_of(64)) > 0);
    CHECK_VALID();
    sleeper_end(&sleeper);
    check_nothing_left();
}

/* --- Many threads that stay -------------------------------------------------------------------------------------- */

#define FREERS 20u
#define SLABS_EACH 30u

static pthread_barrier_t all;
static void **spread; /* blocks, one in each slab for each freer to free */

/* Frees one block in each of its slabs, works for a while, slow paths included, and stays. */
static void *free_one_block_in_each_slab(void *number) {
    void *own[300];
    for (size_t i = 0; i < SLABS_EACH; i++) {
        engine_free(spread[(uintptr_t)number * SLABS_EACH + i]);
    }
    for (size_t round = 0; round < 5; round++) {
        for (size_t i = 0; i < 300; i++) {
            own[i] = engine_alloc(5000 + i);
        }
        for (size_t i = 0; i < 300; i++) {
            engine_free(own[i]);
        }
    }
    pthread_barrier_wait(&all);
    pthread_barrier_wait(&all);
    return NULL;
}

/* No slab is kept by a single block that a thread which idles has freed. */
static void threads_that_stay_pin_no_slabs(void) {
    pthread_t threads[FREERS];
    static void *ones[FREERS * SLABS_EACH];
    const unsigned size_class = size_class_of(64);
    CHECK(root_start());
    size_t each = size_classes[size_class].slots;
    size_t count = FREERS * SLABS_EACH * each;
    void **blocks = malloc(count * sizeof *blocks);
    CHECK(blocks != NULL && pthread_barrier_init(&all, NULL, FREERS + 1) == 0);
    for (size_t i = 0; i < count; i++) {
        blocks[i] = engine_alloc(64);
        if (i % each == each / 2) {
            ones[i / each] = blocks[i];
            blocks[i] = NULL;
        }
    }
    spread = ones;
    for (uintptr_t i = 0; i < FREERS; i++) {
        CHECK(pthread_create(&threads[i], NULL, free_one_block_in_each_slab, (void *)i) == 0);
    }
    pthread_barrier_wait(&all);
    for (size_t i = 0; i < count; i++) {
        engine_free(blocks[i]);
    }
    CHECK_VALID();
    engine_trim();
    CHECK(list_empty(&heap_mine->classes[size_class].slabs));
    CHECK_VALID();
    pthread_barrier_wait(&all);
    for (size_t i = 0; i < FREERS; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
    }
    free(blocks);
    check_nothing_left();
}

/* --- What others have freed of the heap's own classes that it does not need --------------------------------------- */

/* This thread's blocks, freed by another one; the inbox is sorted. The units that they lay in. */
static size_t have_blocks_freed(size_t size, size_t count) {
    for (size_t i = 0; i < count; i++) {
        sleeper_blocks[i] = engine_alloc(size);
        CHECK(sleeper_blocks[i] != NULL);
    }
    flush_mine();
    lock_take(&heap_mine->lock); /* a slow machine makes the heap idle, and the other thread must not collect it */
    thread_run(free_given_blocks, &count);
    lock_give(&heap_mine->lock);
    CHECK(inbox_length(heap_mine) > 20);
    return spans.live_units;
}

/* Not at each pass: that would take cache lines from the threads that free. */
static void a_pass_collects_all_classes_from_time_to_time(void) {
    engine_free(engine_alloc(1));
    for (int round = 0; round < 3; round++) {
        size_t live = have_blocks_freed(4096, 500);
        size_t units = inbox_length(heap_mine);
        heap_mine->collected_ms = os_coarse_ms();
        upkeep_pass(heap_mine, os_coarse_ms());
        CHECK_EQUAL(inbox_length(heap_mine), units);
        clock_advance(IDLE_MS);
        upkeep_pass(heap_mine, os_coarse_ms());
        CHECK_EQUAL(inbox_length(heap_mine), 0);
        CHECK_AT_MOST(spans.live_units, live / 10);
        CHECK_VALID();
    }
}

static void a_heap_collects_other_classes_before_it_grows(void) {
    size_t live = have_blocks_freed(4096, 500);
    for (size_t size = 16; size < 4096; size += size / 4 + 16) {
        heap_mine->collected_ms = os_coarse_ms();
        CHECK(engine_alloc(size) != NULL);
        CHECK_AT_MOST(spans.live_units, live);
    }
    CHECK_EQUAL(inbox_length(heap_mine), 0);
    CHECK_VALID();
}

/* --- A pool of threads ------------------------------------------------------------------------------------------ */

#define POOL_THREADS 120u
#define POOL_BURST ((size_t)4 * MIB)

static pthread_barrier_t pool_served, pool_ends;

/* One burst of mixed blocks, all of which are freed; then the thread sleeps. */
static void *serve_a_burst(void *seed) {
    struct random random = fresh_random;
    size_t count = 0;
    for (size_t i = 0; i < (uintptr_t)seed; i++) {
        random_below(&random, 2);
    }
    for (size_t bytes = 0; bytes < POOL_BURST; count++) {
        size_t size = 16 + random_below(&random, 32000);
        sleeper_blocks[count] = engine_alloc(size);
        CHECK(sleeper_blocks[count] != NULL);
        bytes += size;
    }
    for (size_t i = 0; i < count; i++) {
        engine_free(sleeper_blocks[i]);
    }
    pthread_barrier_wait(&pool_served);
    pthread_barrier_wait(&pool_ends);
    return NULL;
}

/* Nothing decays: but each burst finds a way made for it, at the cost of the threads that had theirs. */
static void a_pool_of_threads_holds_little_more_than_one_of_its_bursts(void) {
    static pthread_t threads[POOL_THREADS];
    CHECK(pthread_barrier_init(&pool_served, NULL, 2) == 0);
    CHECK(pthread_barrier_init(&pool_ends, NULL, POOL_THREADS + 1) == 0);
    for (uintptr_t i = 0; i < POOL_THREADS; i++) {
        CHECK(pthread_create(&threads[i], NULL, serve_a_burst, (void *)i) == 0);
        pthread_barrier_wait(&pool_served);
    }
    CHECK_AT_MOST(slabs_present() * OS_PAGE, 12 * POOL_BURST);
    CHECK_VALID();
    pthread_barrier_wait(&pool_ends);
    for (size_t i = 0; i < POOL_THREADS; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
    }
    check_nothing_left();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        IN_BOTH_MODES(an_idle_heap_is_reclaimed_and_no_other),
        IN_BOTH_MODES(an_idle_heap_is_reclaimed_again),
        IN_BOTH_MODES(what_was_freed_in_an_idle_heap_serves_others),
        IN_BOTH_MODES(a_trim_of_any_thread_gives_back_what_a_sleeper_has_no_use_for),
        FRESH_WITH(no_allocation_fails_for_memory_that_a_sleeper_has_no_use_for, "window=16m"),
        FRESH_WITH(no_allocation_fails_for_memory_that_a_sleeper_has_no_use_for, "window=16m,check=deferred"),
        FRESH_WITH(no_large_allocation_fails_for_it_either, "window=64m"),
        FRESH(idle_heaps_are_reclaimed_until_there_is_room),
        FRESH(a_few_idle_heaps_are_reclaimed_at_a_time),
        FRESH(a_thread_without_a_heap_reclaims_idle_ones),
        FRESH(a_thread_alone_looks_at_no_heap),
        FRESH_WITH(cached_large_blocks_of_an_idle_heap_go_back, "decay_ms=60000"),
        FRESH(a_late_pass_is_made_up_for),
        FRESH(idle_heaps_make_way_before_slabs_exceed_their_peak),
        FRESH(empty_slabs_of_a_heap_that_is_not_idle_make_way),
        FRESH(of_a_heap_that_is_not_idle_only_the_first_slabs_are_examined),
        FRESH_WITH(way_is_not_made_again_before_slabs_have_grown, "decay_ms=60000"),
        FRESH_WITH(free_pages_of_idle_heaps_go_before_those_of_others, "decay_ms=60000"),
        IN_BOTH_MODES(slots_that_were_freed_in_an_idle_heap_are_stolen),
        IN_BOTH_MODES(blocks_do_not_bounce_between_a_thread_and_an_idle_heap),
        FRESH(settled_slots_do_not_hide_those_that_can_be_stolen),
        FRESH_WITH(slots_are_stolen_anywhere_before_an_allocation_fails, "window=16m"),
        FRESH_WITH(slots_are_stolen_anywhere_before_an_allocation_fails, "window=16m,check=deferred"),
        IN_BOTH_MODES(what_a_sleeper_s_magazines_hold_stays),
        IN_BOTH_MODES(the_depot_of_an_idle_heap_goes_back),
        IN_BOTH_MODES(threads_that_stay_pin_no_slabs),
        IN_BOTH_MODES(a_pass_collects_all_classes_from_time_to_time),
        IN_BOTH_MODES(a_heap_collects_other_classes_before_it_grows),
        FRESH_WITH(a_pool_of_threads_holds_little_more_than_one_of_its_bursts, "decay_ms=60000"),
    };
    clock_stop(); /* each test's process inherits it */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
