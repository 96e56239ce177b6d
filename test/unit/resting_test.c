/*
 * resting_test.c - unused memory in slabs that are in use: free pages of slabs, and what magazines keep. It goes back
 * when it has been unused for a while, or before slabs would hold more than ever; and what a magazine may keep is paid
 * for from a budget. And pages of slabs that are made present before they are used.
 */
#include "support/fresh.h"

#include <sys/mman.h>
#include <sys/prctl.h>

#include <errno.h>

#include "engine/heaps/heap.h"
#include "engine/heaps/magazine_budget.h"
#include "engine/slabs/lookup.h"
#include "engine/slabs/slab.h"
#include "engine/upkeep/decay.h"
#include "os/os.h"
#include "support/clock.h"
#include "support/engine_heap.h"
#include "support/engine_locked.h"
#include "support/thread.h"

/* With decay_ms=20. */
#define DECAY_MS 20u

#define BLOCKS 100000u
static void *blocks[BLOCKS];

static void fill(size_t count, size_t size) {
    for (size_t i = 0; i < count; i++) {
        blocks[i] = engine_alloc(size);
        CHECK(blocks[i] != NULL);
        memset(blocks[i], (int)(i % 251), size);
    }
}

/* Every `stride`-th stays, with its bytes. */
static void free_all_but(size_t count, size_t stride) {
    for (size_t i = 0; i < count; i++) {
        if (i % stride != 0) {
            engine_free(blocks[i]);
        }
    }
}

static void check_and_free_rest(size_t count, size_t size, size_t stride) {
    for (size_t i = 0; i < count; i += stride) {
        const unsigned char *bytes = blocks[i];
        for (size_t at = 0; at < size; at++) {
            CHECK_EQUAL(bytes[at], i % 251);
        }
        engine_free(blocks[i]);
    }
}

/* Passes of upkeep, for more than twice the time that memory is kept. */
static void rest(void) {
    for (int i = 0; i < 16; i++) {
        clock_advance(DECAY_MS / 4);
        upkeep_pass(heap_mine, os_coarse_ms());
    }
}

/* --- Free pages --------------------------------------------------------------------------------------------------- */

/* One block in 2,000 pins its page, but no other. */
static void free_pages_of_slabs_go_back_when_they_have_rested(void) {
    enum { STRIDE = 2000 };
    fill(BLOCKS, 64);
    size_t full = slabs_present();
    CHECK(full >= BLOCKS * 64 / OS_PAGE);
    free_all_but(BLOCKS, STRIDE);
    rest();
    CHECK_AT_MOST(slabs_present(), 3 * BLOCKS / STRIDE);
    CHECK_VALID();
    check_and_free_rest(BLOCKS, 64, STRIDE);
    CHECK_VALID();
}

/* Pages that are used between two visits are not resting. */
static void pages_in_use_do_not_go_back(void) {
    fill(5000, 64);
    free_all_but(5000, 2);
    size_t present = slabs_present();
    for (int i = 0; i < 12; i++) {
        clock_advance(DECAY_MS / 4);
        for (size_t k = 1; k < 5000; k += 2) {
            blocks[k] = engine_alloc(64);
        }
        upkeep_pass(heap_mine, os_coarse_ms());
        for (size_t k = 1; k < 5000; k += 2) {
            engine_free(blocks[k]);
        }
        CHECK_AT_MOST(present, slabs_present() + 12);
    }
    check_and_free_rest(5000, 64, 2);
    CHECK_VALID();
}

static void *leave_one_in_2000(void *unused) {
    (void)unused;
    fill(BLOCKS, 64);
    free_all_but(BLOCKS, 2000);
    return NULL;
}

static void those_of_abandoned_slabs_go_back_too(void) {
    thread_run(leave_one_in_2000, NULL);
    engine_free(engine_alloc(100));
    for (unsigned i = 0; i < 3 * SIZE_CLASSES; i++) {
        if (i % SIZE_CLASSES == 0) {
            clock_advance(DECAY_MS);
        }
        upkeep_pass(heap_mine, os_coarse_ms());
    }
    CHECK_AT_MOST(slabs_present(), 3 * BLOCKS / 2000 + 8);
    CHECK_VALID();
    check_and_free_rest(BLOCKS, 64, 2000);
    CHECK_VALID();
}

/* A thread that has time does it without one that allocates. */
static void a_thread_with_time_gives_them_all_back(void) {
    thread_run(leave_one_in_2000, NULL);
    for (unsigned i = 0; i < 6; i++) {
        clock_advance(DECAY_MS);
        upkeep_of_all();
    }
    CHECK_AT_MOST(slabs_present(), 3 * BLOCKS / 2000 + 8);
    check_and_free_rest(BLOCKS, 64, 2000);
    CHECK_VALID();
}

static pthread_barrier_t step;

static void *leave_one_and_sleep(void *unused) {
    leave_one_in_2000(unused);
    pthread_barrier_wait(&step);
    pthread_barrier_wait(&step);
    return NULL;
}

static void those_of_a_sleeper_go_back_too(void) {
    engine_free(engine_alloc(100));
    pthread_t thread = thread_hold(leave_one_and_sleep, NULL, &step);
    for (int i = 0; i < 40; i++) {
        clock_advance(DECAY_MS / 4);
        heap_mine->looked_ms = 0;
        upkeep_pass(heap_mine, os_coarse_ms());
    }
    CHECK_AT_MOST(slabs_present(), 3 * BLOCKS / 2000 + 64);
    CHECK_VALID();
    thread_release(thread, &step);
    check_and_free_rest(BLOCKS, 64, 2000);
    CHECK_VALID();
}

/* Phases with as much memory each, in sizes of their own, with survivors: no time passes, and slabs hold little more
 * than one phase and the survivors' pages. */
static void way_is_made_before_slabs_hold_more_than_ever(void) {
    enum { PHASES = 6, COUNT = 20000 };
    size_t most = 0;
    size_t first = 0;
    for (size_t phase = 0; phase < PHASES; phase++) {
        fill(COUNT, 400 + 70 * phase);
        most = slabs_present() > most ? slabs_present() : most;
        first = phase == 0 ? most : first;
        free_all_but(COUNT, 300); /* the survivors are never freed */
        CHECK_VALID();
    }
    size_t last = COUNT * (400 + 70 * (PHASES - 1)) / OS_PAGE;
    CHECK_AT_MOST(most, last + last / 4 + PHASES * (COUNT / 300 + 64));
    CHECK(first < most);
}

static void *live_through_a_phase(void *size) {
    fill(20000, *(const size_t *)size);
    free_all_but(20000, 300);
    return NULL;
}

/* The same where each phase is a thread's, which ends and leaves the survivors behind. */
static void way_is_made_at_the_cost_of_abandoned_slabs(void) {
    enum { PHASES = 6 };
    engine_free(engine_alloc(100));
    size_t most = 0;
    for (size_t phase = 0; phase < PHASES; phase++) {
        size_t size = 400 + 70 * phase;
        thread_run(live_through_a_phase, &size);
        most = slabs_present() > most ? slabs_present() : most;
        CHECK_VALID();
    }
    CHECK_AT_MOST(most, 20000 * (400 + 70 * (PHASES - 1)) / OS_PAGE * 5 / 4);
}

/* The system does not take them: they stay, nothing is lost, and it is not asked forever. */
static void pages_that_are_refused_stay(void) {
    fill(BLOCKS, 64);
    size_t full = slabs_present();
    os_inject(OS_CALL_MADVISE, 0, UINT64_MAX, EINVAL);
    free_all_but(BLOCKS, 500); /* no slab is empty */
    rest();
    os_inject_clear();
    CHECK(slabs_present() + 64 >= full || !os_purge_zeroes());
    CHECK_VALID();
    check_and_free_rest(BLOCKS, 64, 500);
    CHECK_VALID();
}

/* --- Magazines ---------------------------------------------------------------------------------------------------- */

static void magazines_that_rest_are_given_up(void) {
    fill(2000, 200);
    for (size_t i = 0; i < 2000; i++) {
        engine_free(blocks[i]);
    }
    CHECK(cached_count(heap_mine, size_class_of(200)) > 0);
    rest();
    CHECK_EQUAL(cached_count(heap_mine, size_class_of(200)), 0);
    CHECK_EQUAL(heap_mine->magazine_cost, 0);
    CHECK_EQUAL(heap_mine->magazine_drawn, 0);
    CHECK_VALID();
}

/* Nothing can be drawn: a heap's first blocks are cached all the same, and the others come and go without. */
static void without_a_budget_little_is_cached(void) {
    begin_heap();
    for (size_t size = 16; size <= SMALL_MAX; size += size / 4) {
        for (size_t i = 0; i < 100; i++) {
            atomic_store(&heaps.magazine_most, 0); /* a pass of upkeep sets it */
            blocks[i] = engine_alloc(size);
            CHECK(blocks[i] != NULL && block_at(blocks[i]).state == BLOCK_STATE_LIVE);
            memset(blocks[i], (int)i, size);
        }
        CHECK_VALID();
        for (size_t i = 0; i < 100; i++) {
            atomic_store(&heaps.magazine_most, 0);
            CHECK_EQUAL(*(unsigned char *)blocks[i], i);
            engine_free(blocks[i]);
        }
        CHECK_AT_MOST(heap_mine->magazine_cost, MAGAZINE_FREE);
        CHECK_EQUAL(heap_mine->magazine_drawn, 0);
        CHECK_VALID();
    }
    engine_trim();
    check_nothing_left();
}

/* One whose class needed room, and no refill, caches fewer blocks after a while. */
static void a_magazine_that_is_too_large_shrinks(void) {
    const unsigned size_class = size_class_of(64);
    fill(40, 64);
    free_all_but(40, 2);
    fill(10, 64);
    const unsigned capacity = magazine_capacity(heap_mine, size_class);
    CHECK(capacity > 16 && magazine_count(heap_mine, size_class) <= capacity / 2);
    heap_mine->classes[size_class].idle = heap_mine->classes[size_class].refilled = false;
    heap_mine->rested_ms = os_coarse_ms() - spans.decay_ms;
    upkeep_pass(heap_mine, os_coarse_ms());
    CHECK_EQUAL(magazine_capacity(heap_mine, size_class), capacity / 2);
    CHECK_VALID();
}

static void a_pass_sets_the_budget(void) {
    engine_free(engine_alloc(1));
    atomic_store(&heaps.magazine_most, 0);
    upkeep_pass(heap_mine, os_coarse_ms());
    CHECK(heaps.magazine_most != 0);
}

/* A heap has used up what magazines may grow by: each further class still gets a small one. */
static void a_class_without_a_magazine_gets_a_small_one(void) {
    enum { BUDGET = 256 << 10 };
    begin_heap();
    atomic_store(&heaps.magazine_limit, BUDGET);
    magazine_budget_set();
    for (size_t size = 16; size <= 1024; size += 16) {
        fill(200, size);
        for (size_t i = 0; i < 200; i++) {
            engine_free(blocks[i]);
        }
        engine_free(engine_alloc(size));
        CHECK(magazine_count(heap_mine, size_class_of(size)) >= 1);
        CHECK_AT_MOST(heap_mine->magazine_drawn, BUDGET);
        CHECK_VALID();
    }
    CHECK(heap_mine->magazine_drawn > BUDGET - BUDGET / 4);
}

static void *hoard(void *unused) {
    (void)unused;
    static _Atomic unsigned seed;
    struct random random = {.state = 77 + seed++};
    void *mine[300];
    for (size_t round = 0; round < 10; round++) {
        for (size_t i = 0; i < 300; i++) {
            mine[i] = engine_alloc(1 + random_below(&random, 4000));
        }
        for (size_t i = 0; i < 300; i++) {
            engine_free(mine[i]);
        }
    }
    pthread_barrier_wait(&step);
    pthread_barrier_wait(&step);
    return NULL;
}

/* Threads that sleep after a burst keep what they have drawn; together that is within the budget. */
static void a_pool_of_threads_keeps_to_the_budget(void) {
    static pthread_t threads[200];
    const unsigned count = UNDER_TSAN ? 40 : 200; /* 40 spend the budget too */
    CHECK(pthread_barrier_init(&step, NULL, count + 1) == 0);
    for (size_t i = 0; i < count; i++) {
        CHECK(pthread_create(&threads[i], NULL, hoard, NULL) == 0);
    }
    pthread_barrier_wait(&step);
    CHECK_AT_MOST(atomic_load(&heaps.magazine_drawn), atomic_load(&heaps.magazine_most));
    CHECK_VALID();
    pthread_barrier_wait(&step);
    for (size_t i = 0; i < count; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
    }
    CHECK_EQUAL(atomic_load(&heaps.magazine_drawn), heap_mine->magazine_drawn);
    CHECK_VALID();
}

/* --- The beat ----------------------------------------------------------------------------------------------------- */

/* A thread served by its magazines gives back what it freed before. */
static void a_busy_thread_gives_memory_back(void) {
    begin_heap();
    spans.kept_units = SIZE_MAX / 2; /* as if it had all been needed again before */
    for (size_t i = 0; i < 1000; i++) {
        blocks[i] = engine_alloc(20000);
        memset(blocks[i], 1, 20000);
    }
    for (size_t i = 0; i < 1000; i++) {
        engine_free(blocks[i]);
    }
    for (int i = 0; i < 50; i++) {
        engine_free(engine_alloc(100));
    }
    uint64_t refills = heap_mine->counters.refills;
    CHECK(slabs_present() * OS_PAGE + (spans.dirty_units << UNIT_SHIFT) > 10 * MIB || !os_purge_zeroes());
    for (int i = 0; i < 12; i++) {
        clock_advance(DECAY_MS / 4);
        for (size_t bytes = 0; bytes <= HEAP_BEAT; bytes += 100) {
            engine_free(engine_alloc(100));
        }
    }
    CHECK(heap_mine->counters.refills < refills + 8);
    CHECK_AT_MOST(slabs_present() * OS_PAGE + (os_purge_zeroes() ? spans.dirty_units << UNIT_SHIFT : 0), MIB);
    CHECK_VALID();
}

static void *free_all(void *unused) {
    (void)unused;
    engine_free(engine_alloc(100));
    size_t before = heap_mine->slow_calls;
    for (size_t i = 0; i < BLOCKS; i++) {
        engine_free(blocks[i]);
    }
    CHECK(heap_mine->slow_calls >= before + BLOCKS * 64 / (HEAP_BEAT + 64));
    return NULL;
}

static void a_thread_that_only_frees_for_others_has_beats(void) {
    fill(BLOCKS, 64);
    thread_run(free_all, NULL);
    CHECK_VALID();
}

/* --- Pages made present ahead ------------------------------------------------------------------------------------- */

/* How many pages of a range are present. */
static size_t present_of(const void *start, size_t bytes) {
    static unsigned char pages[SLAB_UNITS_MAX * UNIT / OS_PAGE];
    size_t count = 0;
    CHECK_EQUAL(mincore((void *)(uintptr_t)start, bytes, pages), 0);
    for (size_t i = 0; i < bytes / OS_PAGE; i++) {
        count += pages[i] & 1;
    }
    return count;
}

static size_t present_in_slab(const void *block) {
    const struct slab *slab = slab_of(block);
    return present_of(window_address(slab->span.first), slab->span.units * UNIT);
}

static void need_populating(void) {
    void *start;
    (void)prctl(PR_SET_THP_DISABLE, 1, 0, 0,
                0); /* or one page may bring 511 others, if the system gives these to all */
    CHECK_EQUAL(os_map(UNIT, UNIT, &start), 0);
    os_populate(start, UNIT);
    const bool populates = present_of(start, UNIT) == UNIT / OS_PAGE;
    CHECK_EQUAL(os_unmap(start, UNIT), 0);
    if (!populates || os_page_size() != OS_PAGE) {
        child_cannot();
    }
}

/* Untouched blocks of a class, up to this many bytes. Returns the last one. */
static void *take_untouched(size_t size, size_t bytes) {
    void *last = NULL;
    for (size_t i = 0; i < bytes / size; i++) {
        last = engine_alloc(size);
        CHECK(last != NULL);
    }
    return last;
}

/* Nobody has touched the blocks, so what is present was made so. */
static void a_growing_class_has_its_next_pages_present(void) {
    need_populating();
    CHECK_EQUAL(present_in_slab(take_untouched(512, MIB / 2)), 0);
    const void *few = take_untouched(512, MIB);
    CHECK(present_in_slab(few) != 0);
    CHECK_AT_MOST(present_in_slab(few), slab_used(slab_of(few)) * 512 / OS_PAGE + 6); /* 1/64 of 1.5 MiB */
    const void *block = take_untouched(512, 8 * MIB + 5 * OS_PAGE);
    const struct slab *slab = slab_of(block);
    const size_t used = round_up(slab_used(slab) * 512, OS_PAGE) / OS_PAGE;
    const size_t present = present_in_slab(block);
    CHECK(present >= used);
    CHECK_AT_MOST(present, used + 16);
    CHECK_EQUAL(present, slab_present(slab));
    CHECK_VALID();
}

static void heaps_that_are_counted_together_share(void) {
    const void *block = take_untouched(512, 2 * MIB);
    const struct slab *slab = slab_of(block);
    const size_t slabs = slabs_of_heap(slab);
    CHECK(slabs >= 32);
    struct slab *other = slab_create(slab_class(slab), HEAP_ABANDONED); /* which is no heap */
    CHECK(other != NULL);
    CHECK_EQUAL(slabs_of_heap(slab), slabs);
    slab_destroy(other);
    other = slab_create(slab_class(slab), heap_mine->id + SLAB_COUNT_ROWS);
    CHECK(other != NULL);
    CHECK_EQUAL(slabs_of_heap(slab), (slabs + 1) / 2);
    CHECK_EQUAL(slabs_of_heap(other), (slabs + 1) / 2);
    slab_destroy(other);
}

/* A program need not write to each page of them. */
static void blocks_beyond_a_page_stay_untouched(void) {
    need_populating();
    CHECK_EQUAL(present_in_slab(take_untouched(8192, 32 * MIB)), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        FRESH_WITH(free_pages_of_slabs_go_back_when_they_have_rested, "decay_ms=20"),
        FRESH_WITH(pages_in_use_do_not_go_back, "decay_ms=20"),
        FRESH_WITH(those_of_abandoned_slabs_go_back_too, "decay_ms=20"),
        FRESH_WITH(a_thread_with_time_gives_them_all_back, "decay_ms=20"),
        FRESH_WITH(those_of_a_sleeper_go_back_too, "decay_ms=20"),
        FRESH_WITH(way_is_made_before_slabs_hold_more_than_ever, "decay_ms=100000"),
        FRESH_WITH(way_is_made_at_the_cost_of_abandoned_slabs, "decay_ms=100000"),
        FRESH_WITH(pages_that_are_refused_stay, "decay_ms=20"),
        FRESH_WITH(magazines_that_rest_are_given_up, "decay_ms=20"),
        IN_BOTH_MODES(without_a_budget_little_is_cached),
        FRESH(a_magazine_that_is_too_large_shrinks),
        FRESH(a_pass_sets_the_budget),
        FRESH_WITH(a_class_without_a_magazine_gets_a_small_one, "decay_ms=100000"),
        FRESH_WITH(a_class_without_a_magazine_gets_a_small_one, "decay_ms=100000,check=deferred"),
        IN_BOTH_MODES(a_pool_of_threads_keeps_to_the_budget),
        FRESH_WITH(a_busy_thread_gives_memory_back, "decay_ms=20"),
        FRESH(a_thread_that_only_frees_for_others_has_beats),
        FRESH(a_growing_class_has_its_next_pages_present),
        FRESH_WITH(a_growing_class_has_its_next_pages_present, "harden=light"),
        FRESH(heaps_that_are_counted_together_share),
        FRESH(blocks_beyond_a_page_stay_untouched),
    };
    clock_stop(); /* each test's process inherits it */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
