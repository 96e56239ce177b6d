/*
 * parcel_test.c - blocks freed by threads that do not own them: each comes home, whatever its owner does meanwhile.
 *
 * Nothing is left to chance: a thread runs to its end, or waits at a barrier, before the next step.
 */
#include "support/fresh.h"

#include <errno.h>

#include "engine/block.h"
#include "engine/heap.h"
#include "engine/magazine.h"
#include "engine/metadata.h"
#include "engine/orphan.h"
#include "engine/parcel.h"
#include "engine/root.h"
#include "engine/slab.h"
#include "engine/span.h"
#include "support/engine_heap.h"
#include "support/thread.h"

#define BLOCKS_MAX 1024

/* Blocks that one thread has allocated and another one is to free. */
struct batch {
    size_t size;
    size_t count;
    void *blocks[BLOCKS_MAX];
};

static void batch_alloc(struct batch *batch) {
    CHECK(batch->count <= BLOCKS_MAX);
    for (size_t i = 0; i < batch->count; i++) {
        batch->blocks[i] = engine_alloc(batch->size);
        CHECK(batch->blocks[i] != NULL);
        memset(batch->blocks[i], 1, batch->size);
    }
}

static void batch_free(const struct batch *batch) {
    for (size_t i = 0; i < batch->count; i++) {
        engine_free(batch->blocks[i]);
    }
}

static size_t batch_count(const struct batch *batch, enum block_state state) {
    size_t count = 0;
    for (size_t i = 0; i < batch->count; i++) {
        count += block_at(batch->blocks[i]).state == state;
    }
    return count;
}

static void *alloc_in_thread(void *batch) {
    batch_alloc(batch);
    return NULL;
}

static void *free_in_thread(void *batch) {
    batch_free(batch);
    return NULL;
}

static size_t parcels_in(_Atomic(struct parcel *) *inbox) {
    size_t count = 0;
    for (struct parcel *parcel = atomic_load(inbox); parcel != NULL; parcel = parcel->next) {
        count++;
    }
    return count;
}

static void *fill_a_parcel(void *argument) {
    struct batch *batch = argument;
    struct heap *owner = window.heaps[1];
    for (size_t i = 0; i < batch->count; i++) {
        CHECK_EQUAL(parcels_in(&owner->inbox), 0);
        engine_free(batch->blocks[i]);
    }
    CHECK_EQUAL(parcels_in(&owner->inbox), 1);
    CHECK_EQUAL(heap_mine->counters.remote_frees, batch->count);
    CHECK(heap_mine->outbox.parcels[1] == NULL);
    return NULL;
}

static void a_full_parcel_is_sent_and_its_blocks_come_home(void) {
    static struct batch batch = {.size = 64, .count = PARCEL_BLOCKS};
    batch_alloc(&batch);
    CHECK_EQUAL(heap_mine->owner, 1);
    thread_run(fill_a_parcel, &batch);
    CHECK_EQUAL(parcels_in(&heap_mine->inbox), 1);
    CHECK_EQUAL(parcel_pool.count, 0);
    CHECK_EQUAL(batch_count(&batch, BLOCK_STATE_FREE), 0);
    CHECK_VALID();
    inbox_drain(heap_mine);
    CHECK_EQUAL(parcels_in(&heap_mine->inbox), 0);
    CHECK_EQUAL(parcel_pool.count, 1);
    CHECK_EQUAL(batch_count(&batch, BLOCK_STATE_FREE), PARCEL_BLOCKS);
    check_nothing_left();
}

static void *free_large_ones(void *argument) {
    batch_free(argument);
    CHECK(parcels_in(&((struct heap *)window.heaps[1])->inbox) > 1);
    return NULL;
}

static void large_blocks_wait_for_few_others(void) {
    static struct batch batch = {.size = SMALL_MAX, .count = PARCEL_BLOCKS};
    batch_alloc(&batch);
    thread_run(free_large_ones, &batch);
    check_nothing_left();
}

static void a_thread_that_ends_sends_what_it_has(void) {
    static struct batch batch = {.size = 100, .count = 3};
    batch_alloc(&batch);
    thread_run(free_in_thread, &batch);
    CHECK_EQUAL(parcels_in(&heap_mine->inbox), 1);
    void *block = engine_alloc(1000); /* a refill drains the inbox */
    CHECK_EQUAL(parcels_in(&heap_mine->inbox), 0);
    CHECK_EQUAL(batch_count(&batch, BLOCK_STATE_FREE), 3);
    engine_free(block);
    check_nothing_left();
}

static void parcels_are_used_again(void) {
    static struct batch batch = {.size = 48, .count = 1000};
    size_t metadata_held = 0;
    for (int round = 0; round < 50; round++) {
        batch_alloc(&batch);
        thread_run(free_in_thread, &batch);
        inbox_drain(heap_mine);
        if (round == 10) {
            metadata_held = metadata.used - metadata.spare;
        }
    }
    CHECK_AT_MOST(metadata.used - metadata.spare, metadata_held);
    CHECK_AT_MOST(parcel_pool.count, 1000 / PARCEL_BLOCKS + 1);
    check_nothing_left();
}

/* --- Several owners -------------------------------------------------------------------------------------------- */

#define OWNERS 40u /* more than an outbox has slots, so that they meet there */

static pthread_barrier_t step;
static struct batch batches[OWNERS];

static void *own(void *argument) {
    struct batch *batch = argument;
    batch_alloc(batch);
    pthread_barrier_wait(&step); /* all have allocated */
    pthread_barrier_wait(&step); /* the other thread has freed all */
    inbox_drain(heap_mine);
    CHECK_EQUAL(batch_count(batch, BLOCK_STATE_FREE), batch->count);
    pthread_barrier_wait(&step); /* nobody ends before all have looked */
    return NULL;
}

static void owners_that_share_a_slot_of_the_outbox_all_get_theirs(void) {
    pthread_t threads[OWNERS];
    CHECK(pthread_barrier_init(&step, NULL, OWNERS + 1) == 0);
    engine_free(engine_alloc(1));
    for (size_t i = 0; i < OWNERS; i++) {
        batches[i] = (struct batch){.size = 300 + 8 * i, .count = 100};
        CHECK(pthread_create(&threads[i], NULL, own, &batches[i]) == 0);
    }
    pthread_barrier_wait(&step);
    size_t left[OWNERS];
    for (size_t i = 0; i < OWNERS; i++) {
        left[i] = batches[i].count;
    }
    for (size_t all = OWNERS * 100; all; all--) {
        size_t i = random_below(&fresh_random, OWNERS);
        while (!left[i]) {
            i = (i + 1) % OWNERS;
        }
        engine_free(batches[i].blocks[--left[i]]);
    }
    CHECK_EQUAL(heap_mine->counters.remote_frees, OWNERS * 100);
    outbox_send_all(heap_mine);
    CHECK_VALID();
    pthread_barrier_wait(&step);
    pthread_barrier_wait(&step);
    for (size_t i = 0; i < OWNERS; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
    }
    check_nothing_left();
}

/* --- Owners that end --------------------------------------------------------------------------------------------- */

static void *alloc_then_wait(void *batch) {
    batch_alloc(batch);
    pthread_barrier_wait(&step);
    pthread_barrier_wait(&step);
    return NULL;
}

/* A thread has allocated; this one has freed half of it, into a parcel that it has not sent. */
static pthread_t owner_with_parcel_under_way(struct batch *batch) {
    pthread_t thread;
    CHECK(pthread_barrier_init(&step, NULL, 2) == 0);
    engine_free(engine_alloc(1));
    CHECK(pthread_create(&thread, NULL, alloc_then_wait, batch) == 0);
    pthread_barrier_wait(&step);
    for (size_t i = 0; i < batch->count / 2; i++) {
        engine_free(batch->blocks[i]);
    }
    CHECK(heap_mine->outbox.parcels[2] != NULL);
    CHECK_EQUAL(heap_mine->outbox.parcels[2]->count, batch->count / 2);
    return thread;
}

static void end_owner(pthread_t thread) {
    pthread_barrier_wait(&step);
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK(atomic_load(&((struct heap *)window.heaps[2])->inbox) == PARCEL_CLOSED);
}

static void a_parcel_for_an_owner_that_has_ended_frees_orphans(void) {
    static struct batch batch = {.size = 320, .count = 40};
    end_owner(owner_with_parcel_under_way(&batch));
    CHECK_EQUAL(orphans[size_class_of(320)].available, 1);
    outbox_send_all(heap_mine);
    CHECK_EQUAL(batch_count(&batch, BLOCK_STATE_FREE), 20);
    CHECK_VALID();
    for (size_t i = 20; i < 40; i++) {
        engine_free(batch.blocks[i]);
    }
    CHECK_EQUAL(orphans[size_class_of(320)].available, 0);
    check_nothing_left();
}

static void *take_the_heap_over(void *argument) {
    struct batch *batch = argument;
    batch_alloc(batch);
    CHECK_EQUAL(heap_mine->owner, 2);
    pthread_barrier_wait(&step);
    pthread_barrier_wait(&step); /* the parcel is in the inbox */
    CHECK_EQUAL(parcels_in(&heap_mine->inbox), 1);
    inbox_drain(heap_mine);
    return NULL;
}

/* The heap has another thread then, and the slab is an orphan: so the wrong one gets the parcel, and routes it on. */
static void a_parcel_that_reaches_the_next_thread_of_a_heap_is_routed_on(void) {
    static struct batch batch = {.size = 320, .count = 40};
    static struct batch other = {.size = 3000, .count = 1};
    pthread_t thread = owner_with_parcel_under_way(&batch);
    end_owner(thread);
    CHECK(pthread_create(&thread, NULL, take_the_heap_over, &other) == 0);
    pthread_barrier_wait(&step);
    outbox_send_all(heap_mine);
    CHECK_EQUAL(batch_count(&batch, BLOCK_STATE_FREE), 0);
    pthread_barrier_wait(&step);
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK_EQUAL(batch_count(&batch, BLOCK_STATE_FREE), 20);
    CHECK_VALID();
    engine_free(other.blocks[0]);
    for (size_t i = 20; i < 40; i++) {
        engine_free(batch.blocks[i]);
    }
    check_nothing_left();
}

/* The slab has been adopted by the very thread whose parcel is late. */
static void a_late_parcel_may_be_for_its_own_sender(void) {
    static struct batch batch = {.size = 320, .count = 40};
    end_owner(owner_with_parcel_under_way(&batch));
    void *block = engine_alloc(320);
    CHECK_EQUAL(heap_mine->counters.adoptions, 1);
    CHECK(slab_of(block) == slab_of(batch.blocks[0]));
    engine_free(block);
    for (size_t i = 20; i < 40; i++) {
        engine_free(batch.blocks[i]);
    }
    check_nothing_left();
}

/* --- Threads without a heap -------------------------------------------------------------------------------------- */

static pthread_key_t late;

/* Again, until the heap's own destructor has run: the order of destructors is not told. */
static void free_late(void *argument) {
    if (heap_mine != &heap_none) {
        CHECK(pthread_setspecific(late, argument) == 0);
        return;
    }
    batch_free(argument);
    CHECK(heap_mine == &heap_none);
}

static void *free_after_the_heap_has_ended(void *argument) {
    engine_free(engine_alloc(1));
    CHECK(pthread_setspecific(late, argument) == 0);
    return NULL;
}

static void a_free_after_the_heap_of_a_thread_goes_straight_to_the_owner(void) {
    static struct batch batch = {.size = 80, .count = 5};
    batch_alloc(&batch);
    CHECK(pthread_key_create(&late, free_late) == 0);
    thread_run(free_after_the_heap_has_ended, &batch);
    CHECK_EQUAL(registry.made, 2);
    CHECK_EQUAL(registry.started, 2);
    CHECK_EQUAL(parcels_in(&heap_mine->inbox), 5);
    check_nothing_left();
}

static void a_free_after_every_heap_has_ended_goes_to_the_orphans(void) {
    static struct batch batch = {.size = 80, .count = 5};
    CHECK(root_start());
    CHECK(pthread_key_create(&late, free_late) == 0);
    thread_run(alloc_in_thread, &batch);
    CHECK(spans.live_units > 0);
    thread_run(free_after_the_heap_has_ended, &batch);
    CHECK(heap_mine == &heap_none);
    check_nothing_left();
}

/* --- Proofs ------------------------------------------------------------------------------------------------------ */

static void a_remote_block_freed_twice_is_a_fault(void) {
    static struct batch batch = {.size = 64, .count = 2};
    batch_alloc(&batch);
    batch.blocks[1] = batch.blocks[0];
    thread_run(free_in_thread, &batch);
    inbox_drain(heap_mine);
}

static void a_remote_block_freed_by_its_owner_too_is_a_fault(void) {
    static struct batch batch = {.size = 64, .count = 1};
    batch_alloc(&batch);
    thread_run(free_in_thread, &batch);
    engine_free(batch.blocks[0]);
    inbox_drain(heap_mine);
    magazine_flush_all(heap_mine, false);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        IN_BOTH_MODES(a_full_parcel_is_sent_and_its_blocks_come_home),
        FRESH(large_blocks_wait_for_few_others),
        FRESH(a_thread_that_ends_sends_what_it_has),
        FRESH(parcels_are_used_again),
        IN_BOTH_MODES(owners_that_share_a_slot_of_the_outbox_all_get_theirs),
        IN_BOTH_MODES(a_parcel_for_an_owner_that_has_ended_frees_orphans),
        IN_BOTH_MODES(a_parcel_that_reaches_the_next_thread_of_a_heap_is_routed_on),
        IN_BOTH_MODES(a_late_parcel_may_be_for_its_own_sender),
        FRESH(a_free_after_the_heap_of_a_thread_goes_straight_to_the_owner),
        FRESH(a_free_after_every_heap_has_ended_goes_to_the_orphans),
        FRESH_FAULT(a_remote_block_freed_twice_is_a_fault, "check=every",
                    "free(@): double free: slot 0 of a 64-byte slab, free"),
        FRESH_FAULT(a_remote_block_freed_twice_is_a_fault, "check=deferred",
                    "free(@): double free: slot 0 of a 64-byte slab, free"),
        FRESH_FAULT(a_remote_block_freed_by_its_owner_too_is_a_fault, "check=every",
                    "free(@): double free: slot 0 of a 64-byte slab, cached"),
        FRESH_FAULT(a_remote_block_freed_by_its_owner_too_is_a_fault, "check=deferred",
                    "free(@): double free: slot 0 of a 64-byte slab, free"),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
