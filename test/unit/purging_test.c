/*
 * purging_test.c - slabs while the system takes pages of theirs back, which it does with no lock held: what other
 * threads, and this one, do to such a slab meanwhile.
 */
#include "support/fresh.h"

#include <errno.h>
#include <limits.h>

#include "base/bits.h"
#include "engine/calls/arena.h"
#include "engine/heaps/heap.h"
#include "engine/memory/span.h"
#include "engine/slabs/abandoned.h"
#include "engine/slabs/lookup.h"
#include "engine/slabs/slab.h"
#include "engine/upkeep/idle.h"
#include "engine/upkeep/trim.h"
#include "os/os.h"
#include "support/engine_heap.h"
#include "support/engine_locked.h"
#include "support/thread.h"

#define SIZE 1024u
#define BLOCKS 64u /* of that size in a slab */
#define KEPT 16u   /* one block in 16 stays allocated, so one page in four is in use */

static void *blocks[BLOCKS];
static struct slab_purge purge;

static void fill(void) {
    for (size_t i = 0; i < BLOCKS; i++) {
        blocks[i] = engine_alloc(SIZE);
        CHECK(blocks[i] != NULL);
        memset(blocks[i], 1 + (int)i, SIZE);
    }
}

static void free_most(void) {
    for (size_t i = 0; i < BLOCKS; i++) {
        if (i % KEPT != 0) {
            engine_free(blocks[i]);
        }
    }
}

static void check_and_free_rest(size_t from) {
    for (size_t i = from; i < BLOCKS; i += KEPT) {
        const unsigned char *bytes = blocks[i];
        for (size_t at = 0; at < SIZE; at++) {
            CHECK_EQUAL(bytes[at], 1 + i);
        }
        engine_free(blocks[i]);
    }
}

/* Begins to purge the slab of blocks[0], which belongs to the heap. */
static struct slab *begin(struct heap *heap) {
    struct slab *slab = slab_of(blocks[0]);
    lock_take(&heap->lock);
    heap_age(heap, os_coarse_ms());
    do {
        CHECK(heap_purge_begin(heap, os_coarse_ms(), 0, UINT_MAX, &purge));
    } while (purge.pages == 0);
    lock_give(&heap->lock);
    CHECK(purge.slab == slab && slab->purging);
    CHECK_VALID();
    return slab;
}

static void end(void) {
    slab_purge_pages(&purge);
    heap_purge_end(&purge);
    CHECK_VALID();
}

/* The calling thread's heap has a slab with some blocks, and nothing else of the class. */
static struct slab *begin_mine(void) {
    fill();
    free_most();
    flush_mine();
    return begin(heap_mine);
}

static void its_slots_are_handed_out_only_afterwards(void) {
    struct slab *slab = begin_mine();
    void *block = engine_alloc(SIZE);
    CHECK(slab_of(block) != slab);
    CHECK_VALID();
    /* The class gets no third slab while the second has room, whichever comes first. */
    list_remove(&slab->link);
    list_push_front(&heap_mine->classes[size_class_of(SIZE)].slabs, &slab->link);
    const size_t live = spans.live_units;
    void *more[BLOCKS - 1];
    for (size_t i = 0; i < BLOCKS - 1; i++) {
        more[i] = engine_alloc(SIZE);
        CHECK(slab_of(more[i]) == slab_of(block));
    }
    CHECK_EQUAL(spans.live_units, live);
    for (size_t i = 0; i < BLOCKS - 1; i++) {
        engine_free(more[i]);
    }
    engine_free(block);
    flush_mine();
    end();
    CHECK(slab_of(engine_alloc(SIZE)) == slab);
    check_and_free_rest(0);
}

/* The pages that become free meanwhile go the next time. */
static void its_blocks_can_be_freed_meanwhile(void) {
    struct slab *slab = begin_mine();
    const size_t present = slabs_present();
    check_and_free_rest(KEPT);
    flush_mine();
    CHECK_VALID();
    end();
    const size_t purged = count_bits(purge.pages);
    CHECK(purged >= BLOCKS * SIZE / OS_PAGE / 2);
    CHECK_EQUAL(slabs_present(), present - purged);
    CHECK(!list_empty(&slab->age));
    CHECK(begin(heap_mine) == slab);
    end();
    CHECK(purge.pages != 0);
}

static void it_is_destroyed_only_afterwards(void) {
    struct slab *slab = begin_mine();
    const size_t unit = slab->span.first;
    void *other = engine_alloc(SIZE);
    check_and_free_rest(0);
    flush_mine();
    CHECK(slab_empty(slab) && !slab_disposable(slab));
    CHECK(slab_of(blocks[0]) == slab && entry_is_slab(page_map_load(unit)));
    CHECK_VALID();
    upkeep_reclaim_all(heap_mine);
    CHECK(entry_is_slab(page_map_load(unit)));
    end();
    CHECK(!entry_is_slab(page_map_load(unit)));
    engine_free(other);
    check_nothing_left();
}

/* The slab of blocks[0] is looked at, at a time by a clock of the test's own; returns whether pages are due. */
static bool look_at(struct slab *slab, uint64_t now_ms, unsigned most) {
    lock_take(&heap_mine->lock);
    do {
        CHECK(heap_purge_begin(heap_mine, now_ms, 1000, most, &purge));
    } while (purge.slab != slab);
    lock_give(&heap_mine->lock);
    return purge.pages != 0;
}

/* A slab, most of whose slots are free, that ages. */
static struct slab *aging_since(uint64_t start_ms) {
    fill();
    free_most();
    flush_mine();
    lock_take(&heap_mine->lock);
    heap_age(heap_mine, start_ms);
    lock_give(&heap_mine->lock);
    return slab_of(blocks[0]);
}

/* Pages go that were free at two looks, a second apart here, and not handed out in between. */
static void a_page_that_is_used_in_between_rests_anew(void) {
    const uint64_t start_ms = os_coarse_ms() - 20000;
    struct slab *slab = aging_since(start_ms);
    CHECK(!look_at(slab, start_ms + 1000, UINT_MAX));
    CHECK(slab->resting != 0);
    for (size_t i = 0; i < BLOCKS; i++) {
        blocks[i] = i % KEPT != 0 ? memset(engine_alloc(SIZE), 1 + (int)i, SIZE) : blocks[i];
        CHECK(slab_of(blocks[i]) == slab);
    }
    free_most();
    flush_mine();
    CHECK(!look_at(slab, start_ms + 2000, UINT_MAX));
    CHECK(look_at(slab, start_ms + 3000, UINT_MAX));
    end();
    check_and_free_rest(0);
}

static void a_purge_takes_no_more_pages_than_it_may(void) {
    const uint64_t start_ms = os_coarse_ms() - 20000;
    if (os_page_size() != OS_PAGE) {
        child_cannot();
    }
    struct slab *slab = aging_since(start_ms);
    CHECK(!look_at(slab, start_ms + 1000, 2));
    CHECK(look_at(slab, start_ms + 2000, 2));
    CHECK_EQUAL(count_bits(purge.pages), 2);
    end();
    check_and_free_rest(0);
}

/* --- Other threads ------------------------------------------------------------------------------------------------ */

static pthread_barrier_t step;

/* A thread that has a full slab, and sleeps. */
static void *hold_blocks(void *unused) {
    (void)unused;
    heap_mine->classes[size_class_of(SIZE)].share = 0;
    fill();
    flush_mine();
    pthread_barrier_wait(&step);
    pthread_barrier_wait(&step);
    return NULL;
}

static void *hold_with_heap(void *unused) {
    engine_free(engine_alloc(1));
    return hold_blocks(unused);
}

/* A sleeper whose blocks this thread frees, and collects. */
static pthread_t start_sleeper(void) {
    engine_free(engine_alloc(1));
    pthread_t thread = thread_hold(hold_with_heap, NULL, &step);
    free_most();
    collect(heap_of(2), SIZE_MAX, false);
    return thread;
}

static void wake(pthread_t thread) {
    thread_release(thread, &step);
}

static void no_thief_gets_a_slot_of_it(void) {
    const unsigned size_class = size_class_of(SIZE);
    pthread_t thread = start_sleeper();
    struct slab *slab = begin(heap_of(2));
    CHECK(slab->unsettled);
    CHECK(idle_steal_anywhere(heap_mine, size_class) == NULL);
    end();
    void *block = idle_steal_anywhere(heap_mine, size_class);
    CHECK(block != NULL && slab_of(block) == slab);
    engine_free(block);
    wake(thread);
    check_and_free_rest(0);
    CHECK_VALID();
}

static void *leave_while_purging(void *unused) {
    (void)unused;
    engine_free(engine_alloc(1));
    heap_mine->classes[size_class_of(SIZE)].share = 0;
    fill();
    free_most();
    flush_mine();
    begin(heap_mine);
    return NULL;
}

/* A slab that is purging, and whose thread has ended. */
static struct slab *leave(void) {
    engine_free(engine_alloc(1));
    thread_run(leave_while_purging, NULL);
    CHECK_VALID();
    struct slab *slab = slab_of(blocks[0]);
    CHECK_EQUAL(page_map_load(slab->span.first), page_map_tag(HEAP_ABANDONED) | size_class_of(SIZE));
    CHECK(slab->purging);
    return slab;
}

static void its_thread_may_end_meanwhile(void) {
    const struct slab *slab = leave();
    CHECK(abandoned_adopt(size_class_of(SIZE), heap_mine->id) == NULL);
    end();
    CHECK(!slab->purging);
    CHECK(slab_of(engine_alloc(SIZE)) == slab);
    check_and_free_rest(0);
}

static void an_abandoned_one_is_destroyed_only_afterwards(void) {
    const size_t unit = leave()->span.first;
    heap_mine->classes[size_class_of(SIZE)].strays = 0;
    for (size_t i = 0; i < BLOCKS; i += KEPT) {
        CHECK_EQUAL(abandoned_free(blocks[i]), ABANDONED_FREED);
        CHECK_VALID();
    }
    CHECK(entry_is_slab(page_map_load(unit)));
    end();
    CHECK(!entry_is_slab(page_map_load(unit)));
    check_nothing_left();
}

static void another_thread_may_adopt_it_meanwhile(void) {
    struct slab *slab = leave();
    lock_take(&heap_mine->lock);
    CHECK(heap_adopt_of(heap_mine, blocks[0], size_class_of(SIZE)));
    lock_give(&heap_mine->lock);
    CHECK_VALID();
    CHECK(slab_of(engine_alloc(SIZE)) != slab);
    end();
    CHECK(!slab->purging);
    CHECK_EQUAL(entry_heap(page_map_load(slab->span.first)), heap_mine->id);
    check_and_free_rest(0);
    CHECK_VALID();
}

/* A shared slab is then an abandoned one. */
static void a_shared_one_gives_its_place_to_another(void) {
    const unsigned size_class = size_class_of(SIZE);
    engine_free(engine_alloc(1));
    for (size_t i = 0; i < BLOCKS / 2; i++) {
        blocks[i] = shared_alloc(SIZE);
        CHECK(blocks[i] != NULL);
    }
    struct slab *slab = abandoned[size_class].shared;
    CHECK(slab != NULL && slab_of(blocks[1]) == slab);
    for (size_t i = 0; i < BLOCKS / 2; i++) {
        CHECK(i % KEPT == 0 || abandoned_free(blocks[i]) == ABANDONED_FREED);
    }
    abandoned_age(size_class, os_coarse_ms());
    CHECK(abandoned_purge_begin(size_class, os_coarse_ms(), 0, UINT_MAX, &purge));
    CHECK(purge.slab == slab && slab->purging);
    CHECK_VALID();
    void *block = shared_alloc(SIZE);
    CHECK(block != NULL && slab_of(block) != slab);
    CHECK_VALID();
    end();
    CHECK(abandoned_adopt(size_class, heap_mine->id) == slab);
}

/* --- What ends meanwhile ------------------------------------------------------------------------------------------ */

/* The slab goes when the purge has ended. */
static void its_arena_may_end_meanwhile(void) {
    struct mems_arena *arena = arena_create("ends");
    const size_t live = spans.live_units;
    for (size_t i = 0; i < BLOCKS; i++) {
        blocks[i] = arena_alloc("test", arena, SIZE);
        memset(blocks[i], 1, SIZE);
    }
    free_most();
    struct heap *heap = heap_of(entry_heap(page_map_load(window_unit(blocks[0]))));
    CHECK(heap->arena != NULL);
    lock_take(&heap->lock);
    inbox_collect(heap, SIZE_MAX, true);
    cached_flush(heap);
    lock_give(&heap->lock);
    const struct slab *slab = begin(heap);
    arena_reset("test", arena);
    CHECK(spans.live_units > live && slab->purging && slab_empty(slab));
    CHECK_VALID();
    arena_destroy("test", arena);
    CHECK_VALID();
    end();
    CHECK(spans.live_units <= live);
}

static void check_child(void *unused) {
    (void)unused;
    const struct slab *slab = slab_of(blocks[0]);
    CHECK(!slab->purging);
    CHECK_VALID();
    check_and_free_rest(KEPT);
    CHECK(slab_of(engine_alloc(SIZE)) == slab);
    CHECK(upkeep_trim(heap_mine) != 0);
    CHECK_VALID();
}

/* The thread that purges does not exist in the child. */
static void a_forked_child_ends_the_purge(void) {
    pthread_t thread = start_sleeper();
    begin(heap_of(2));
    expect_success(check_child, NULL);
    end();
    wake(thread);
    check_and_free_rest(0);
    CHECK_VALID();
}

/* --- The system --------------------------------------------------------------------------------------------------- */

/* The pages count as present, and are not tried again before something has changed, or somebody asks. */
static void what_the_system_refuses_stays(void) {
    fill();
    free_most();
    flush_mine();
    const size_t present = slabs_present();
    const struct slab *slab = begin(heap_mine);
    os_inject(OS_CALL_MADVISE, 0, UINT64_MAX, EPERM);
    end();
    CHECK_EQUAL(purge.pages, 0);
    CHECK_EQUAL(slabs_present(), present);
    CHECK(!slab->purging && list_empty(&slab->age));
    os_inject_clear();
    CHECK(upkeep_trim(heap_mine) != 0);
    CHECK(slabs_present() < present);
    CHECK_VALID();
    check_and_free_rest(0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        FRESH(its_slots_are_handed_out_only_afterwards),
        FRESH(its_blocks_can_be_freed_meanwhile),
        FRESH_WITH(its_blocks_can_be_freed_meanwhile, "harden=light"),
        FRESH_WITH(its_blocks_can_be_freed_meanwhile, "harden=full"),
        FRESH(it_is_destroyed_only_afterwards),
        FRESH_WITH(a_page_that_is_used_in_between_rests_anew, "decay_ms=4294967295"),
        FRESH_WITH(a_purge_takes_no_more_pages_than_it_may, "decay_ms=4294967295"),
        FRESH(no_thief_gets_a_slot_of_it),
        FRESH(its_thread_may_end_meanwhile),
        FRESH(an_abandoned_one_is_destroyed_only_afterwards),
        FRESH(another_thread_may_adopt_it_meanwhile),
        FRESH(a_shared_one_gives_its_place_to_another),
        FRESH(its_arena_may_end_meanwhile),
        FRESH_WITH(its_arena_may_end_meanwhile, "harden=light"),
        FRESH(a_forked_child_ends_the_purge),
        FRESH(what_the_system_refuses_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
