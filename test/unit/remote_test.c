/*
 * remote_test.c - blocks freed by threads whose heap does not own them: each free is checked at the call, announced
 * once per unit, and comes home whatever the owner does meanwhile.
 *
 * Nothing is left to chance: a thread runs to its end, or waits at a barrier, before the next step.
 */
#include "support/fresh.h"

#include <errno.h>
#include <limits.h>

#include "engine/memory/span.h"
#include "engine/slabs/abandoned.h"
#include "engine/slabs/lookup.h"
#include "engine/slabs/slab.h"
#include "engine/tables/live_map.h"
#include "engine/tables/metadata.h"
#include "support/engine_heap.h"
#include "support/engine_locked.h"
#include "support/thread.h"

#define BLOCKS_MAX 8192

/* Blocks that one thread allocated and another is to free. */
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
        struct block block = block_at(batch->blocks[i]);
        count += block.kind == BLOCK_SLOT ? block.state == state : state == BLOCK_STATE_FREE;
    }
    return count;
}

/* The number of units in which the blocks start. */
static size_t batch_units(const struct batch *batch) {
    static bool seen[BLOCKS_MAX];
    size_t units = 0;
    memset(seen, 0, sizeof seen);
    for (size_t i = 0; i < batch->count; i++) {
        size_t unit = window_unit(batch->blocks[i]);
        CHECK(unit < BLOCKS_MAX);
        units += !seen[unit];
        seen[unit] = true;
    }
    return units;
}

static void *alloc_in_thread(void *batch) {
    batch_alloc(batch);
    return NULL;
}

static void *free_in_thread(void *batch) {
    batch_free(batch);
    return NULL;
}

/* Nobody else collects what is freed meanwhile. */
static void run_unwatched(void *(*function)(void *), void *argument) {
    lock_take(&heap_mine->lock);
    thread_run(function, argument);
    lock_give(&heap_mine->lock);
}

static void free_by_another(struct batch *batch) {
    run_unwatched(free_in_thread, batch);
}

static void *free_one(void *block) {
    engine_free(block);
    return NULL;
}

/* --- Announcements ----------------------------------------------------------------------------------------------- */

static void *free_and_look(void *argument) {
    const struct batch *batch = argument;
    const struct heap *owner = heap_of(1);
    CHECK(thread_begin() != NULL);
    CHECK_EQUAL(inbox_length(owner), 0);
    for (size_t i = 0; i < batch->count; i++) {
        bool announced = link_of_unit(window_unit(batch->blocks[i])) != 0;
        size_t length = inbox_length(owner);
        engine_free(batch->blocks[i]);
        CHECK_EQUAL(inbox_length(owner), length + !announced);
        CHECK((link_of_unit(window_unit(batch->blocks[i])) & LINK_SET) != 0);
        CHECK_EQUAL(block_at(batch->blocks[i]).state, BLOCK_STATE_REMOTE);
    }
    CHECK_EQUAL(heap_mine->counters.remote_frees, batch->count);
    return NULL;
}

static void a_unit_is_announced_once(void) {
    static struct batch batch = {.size = 400, .count = 1000};
    batch_alloc(&batch);
    CHECK_EQUAL(heap_mine->id, 1);
    thread_run(free_and_look, &batch);
    CHECK(batch_units(&batch) > 5);
    CHECK_EQUAL(inbox_length(heap_mine), batch_units(&batch));
    CHECK_EQUAL(batch_count(&batch, BLOCK_STATE_REMOTE), batch.count);
    CHECK_VALID();
    CHECK(!collect(heap_mine, SIZE_MAX, true));
    CHECK_EQUAL(inbox_length(heap_mine), 0);
    CHECK_EQUAL(batch_count(&batch, BLOCK_STATE_FREE), batch.count);
    CHECK_VALID();
    check_nothing_left();
}

/* After a collection the next free announces the unit again. */
static void a_unit_that_was_collected_is_announced_again(void) {
    static struct batch batch = {.size = 64, .count = 10};
    batch_alloc(&batch);
    for (size_t i = 0; i < batch.count; i++) {
        run_unwatched(free_one, batch.blocks[i]);
        CHECK_EQUAL(inbox_length(heap_mine), 1);
        CHECK_VALID();
        collect(heap_mine, SIZE_MAX, i % 2 == 0);
        CHECK_EQUAL(inbox_length(heap_mine), 0);
        CHECK_EQUAL(block_at(batch.blocks[i]).state, BLOCK_STATE_FREE);
        CHECK_VALID();
    }
    check_nothing_left();
}

/* Each collection takes what it may; the rest waits in the backlog, and nothing is lost or taken twice. */
static void a_backlog_is_collected_bit_by_bit(void) {
    enum { FEW = 3 };
    static struct batch batch = {.size = 4096, .count = 500};
    batch_alloc(&batch);
    size_t units = batch_units(&batch);
    CHECK(units > 10 * FEW);
    free_by_another(&batch);
    for (size_t left = units; left > 0;) {
        size_t taken = left < FEW ? left : FEW;
        CHECK_EQUAL(collect(heap_mine, FEW, left % 2 == 0), left > taken);
        left -= taken;
        CHECK_EQUAL(inbox_length(heap_mine), left);
        CHECK_EQUAL(waiting_length(heap_mine), left);
        CHECK_VALID();
    }
    CHECK_EQUAL(batch_count(&batch, BLOCK_STATE_FREE), batch.count);
    check_nothing_left();
}

/* Units of other classes wait, and are not announced again. */
static void a_refill_collects_the_oldest_unit_of_its_class(void) {
    static struct batch batch = {.size = 64, .count = 4096};
    static struct batch other = {.size = 400, .count = 1000};
    const unsigned size_class = size_class_of(batch.size);
    batch_alloc(&batch);
    batch_alloc(&other);
    while (magazine_count(heap_mine, size_class) != 0 || heap_slab_with_room(heap_mine, size_class) != NULL) {
        CHECK(engine_alloc(batch.size) != NULL);
    }
    free_by_another(&other);
    free_by_another(&batch);
    size_t units = batch_units(&batch);
    CHECK(units >= 4);
    heap_mine->until_beat = SIZE_MAX; /* no pass of upkeep collects meanwhile */
    for (size_t i = 0, oldest = 0; i < units; i++) {
        CHECK_EQUAL(ring_length(heap_mine, size_class), i == 0 ? 0 : units - i);
        do {
            CHECK(refill_mine(size_class));
            while (magazine_count(heap_mine, size_class) != 0) {
                CHECK_EQUAL(window_unit(engine_alloc(batch.size)), window_unit(batch.blocks[oldest]));
            }
        } while (heap_slab_with_room(heap_mine, size_class) != NULL);
        while (oldest < batch.count && link_of_unit(window_unit(batch.blocks[oldest])) == 0) {
            oldest++;
        }
        CHECK_VALID();
    }
    CHECK_EQUAL(ring_length(heap_mine, size_class_of(other.size)), batch_units(&other));
    CHECK_EQUAL(batch_count(&other, BLOCK_STATE_REMOTE), other.count);
    run_unwatched(free_one, batch.blocks[0]);
    CHECK_EQUAL(inbox_length(heap_mine), batch_units(&other) + 1);
    CHECK_VALID();
}

/* A refill for one class does not collect everything that was freed of another. */
static void one_refill_collects_a_bounded_number_of_units(void) {
    enum { BOUND = 64 + 64 }; /* before the heap grows, and in the following pass of upkeep */
    static struct batch batch = {.size = 8192, .count = 8000};
    batch_alloc(&batch);
    size_t units = batch_units(&batch);
    CHECK(units > 4 * BOUND);
    free_by_another(&batch);
    for (size_t size = 1000; units > 0; size += 300) {
        CHECK(engine_alloc(size) != NULL);
        size_t left = inbox_length(heap_mine);
        CHECK(left < units);
        CHECK(units - left <= BOUND);
        units = left;
    }
    CHECK_EQUAL(batch_count(&batch, BLOCK_STATE_REMOTE), 0);
    CHECK_VALID();
}

/* A unit that arrives while a backlog waits goes behind it. */
static void what_arrives_behind_a_backlog_is_not_lost(void) {
    static struct batch first = {.size = 4096, .count = 200};
    static struct batch second = {.size = 2048, .count = 200};
    batch_alloc(&first);
    batch_alloc(&second);
    free_by_another(&first);
    CHECK(collect(heap_mine, 1, true));
    free_by_another(&second);
    CHECK(waiting_length(heap_mine) > 0 && chain_length(atomic_load(&heap_mine->inbox)) > 0);
    CHECK_VALID();
    CHECK(!collect(heap_mine, SIZE_MAX, true));
    CHECK_EQUAL(batch_count(&first, BLOCK_STATE_FREE), first.count);
    CHECK_EQUAL(batch_count(&second, BLOCK_STATE_FREE), second.count);
    check_nothing_left();
}

/* All slots of the slab are free, but one of its units is still in an inbox: another user's blocks would be
 * collected. */
static void a_slab_with_a_link_is_not_given_back(void) {
    static struct batch batch = {.size = 4096, .count = 100};
    batch_alloc(&batch);
    flush_mine();
    free_by_another(&batch);
    size_t units = spans.live_units;
    const struct slab *slab = slab_of(batch.blocks[0]);
    lock_take(&heap_mine->lock);
    slab_settle(slab_of(batch.blocks[0])); /* as a refill does, which leaves the links to the collector */
    CHECK(slab_empty(slab) && !slab_disposable(slab));
    heap_drop_empty(heap_mine, UINT_MAX);
    lock_give(&heap_mine->lock);
    CHECK_EQUAL(spans.live_units, units);
    CHECK_VALID();
    collect(heap_mine, SIZE_MAX, true);
    CHECK_VALID();
    CHECK(spans.live_units < units);
    check_nothing_left();
}

static void remote_frees_take_no_memory(void) {
    static struct batch batch = {.size = 48, .count = 1000};
    size_t metadata_held = 0;
    for (int round = 0; round < 50; round++) {
        batch_alloc(&batch);
        free_by_another(&batch);
        collect(heap_mine, SIZE_MAX, true);
        if (round == 1) {
            metadata_held = metadata.used - metadata.spare;
        }
    }
    CHECK_AT_MOST(metadata.used - metadata.spare, metadata_held);
    check_nothing_left();
}

/* A free needs no memory either, if there is none for the thread's heap. */
static void *free_without_memory(void *batch) {
    os_inject(OS_CALL_MPROTECT, 0, UINT64_MAX, ENOMEM);
    os_inject(OS_CALL_MMAP, 0, UINT64_MAX, ENOMEM);
    for (size_t size = sizeof(struct heap); size >= METADATA_STEP; size -= METADATA_STEP) {
        while (metadata_alloc(size) != NULL) {
            continue;
        }
    }
    batch_free(batch);
    CHECK(heap_mine == &heap_none);
    os_inject_clear();
    return NULL;
}

static void a_free_without_memory_for_a_heap_is_a_free(void) {
    static struct batch batch = {.size = 80, .count = 1000};
    batch_alloc(&batch);
    run_unwatched(free_without_memory, &batch);
    CHECK_EQUAL(batch_count(&batch, BLOCK_STATE_REMOTE), batch.count);
    CHECK_VALID();
    check_nothing_left();
}

/* --- Settling ---------------------------------------------------------------------------------------------------- */

/* Another thread collects; the owner's next refill settles the slots, and hands them out. */
static void the_owner_settles_what_another_thread_collected(void) {
    static struct batch batch = {.size = 1024, .count = 300};
    batch_alloc(&batch);
    flush_mine();
    free_by_another(&batch);
    collect(heap_mine, SIZE_MAX, false);
    size_t unsettled = 0;
    for (size_t i = 0; i < batch.count; i++) {
        struct block block = block_at(batch.blocks[i]);
        if (block.kind == BLOCK_SLOT) {
            CHECK_EQUAL(block.state, BLOCK_STATE_FREE);
            CHECK(live_freed_remotely(batch.blocks[i]) && slab_of(batch.blocks[i])->unsettled);
            unsettled++;
        }
    }
    CHECK(unsettled > 0);
    CHECK_VALID();
    void *block = engine_alloc(1024);
    CHECK(!slab_of(block)->unsettled && live_test(block));
    CHECK_VALID();
    engine_free(block);
    check_nothing_left();
}

/* --- Several owners ---------------------------------------------------------------------------------------------- */

#define OWNERS 64u

static pthread_barrier_t step;
static struct batch batches[OWNERS];

static void *own(void *argument) {
    struct batch *batch = argument;
    batch_alloc(batch);
    pthread_barrier_wait(&step); /* all have allocated */
    pthread_barrier_wait(&step); /* the other thread has freed everything */
    collect(heap_mine, SIZE_MAX, true);
    pthread_barrier_wait(&step); /* all have collected: nobody changes the free spans that others look at */
    CHECK_EQUAL(batch_count(batch, BLOCK_STATE_FREE), batch->count);
    pthread_barrier_wait(&step); /* nobody ends before all have looked */
    return NULL;
}

static void every_one_of_many_owners_gets_its_blocks(void) {
    pthread_t threads[OWNERS];
    CHECK(pthread_barrier_init(&step, NULL, OWNERS + 1) == 0);
    engine_free(engine_alloc(1));
    for (size_t i = 0; i < OWNERS; i++) {
        batches[i].size = 300 + 8 * i;
        batches[i].count = 100;
        CHECK(pthread_create(&threads[i], NULL, own, &batches[i]) == 0);
    }
    pthread_barrier_wait(&step);
    size_t metadata_held = metadata.used - metadata.spare;
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
    CHECK(metadata.used - metadata.spare <= metadata_held); /* owners that are idle by now may have given some back */
    CHECK_VALID();
    for (int i = 0; i < 3; i++) {
        pthread_barrier_wait(&step);
    }
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

/* A thread has allocated, and waits; this one has freed half of it. */
static pthread_t owner_with_frees_under_way(struct batch *batch) {
    engine_free(engine_alloc(1));
    pthread_t thread = thread_hold(alloc_then_wait, batch, &step);
    for (size_t i = 0; i < batch->count / 2; i++) {
        engine_free(batch->blocks[i]);
    }
    CHECK(inbox_length(heap_of(2)) > 0);
    CHECK_EQUAL(batch_count(batch, BLOCK_STATE_REMOTE), batch->count / 2);
    return thread;
}

static void end_owner(pthread_t thread) {
    thread_release(thread, &step);
}

static void a_thread_that_ends_collects_what_others_freed(void) {
    static struct batch batch = {.size = 2112, .count = 400};
    end_owner(owner_with_frees_under_way(&batch));
    CHECK_EQUAL(atomic_load(&heap_of(2)->inbox), INBOX_CLOSED);
    CHECK_EQUAL(batch_count(&batch, BLOCK_STATE_FREE), batch.count / 2);
    CHECK_VALID();
    for (size_t i = batch.count / 2; i < batch.count; i++) {
        engine_free(batch.blocks[i]);
        CHECK(link_of_unit(window_unit(batch.blocks[i])) == 0); /* such a free goes to the class */
    }
    check_nothing_left();
}

/* A free that is stopped before the announcement. */
static void free_halfway(void *block) {
    CHECK(live_end_remotely(block));
}

/* A unit is in the inbox of a heap that does not have it, as after a late push. */
static void misroute(size_t unit, struct heap *heap) {
    CHECK_EQUAL(link_of_unit(unit), 0);
    uint32_t head = atomic_load(&heap->inbox);
    atomic_store(&window.inbox_links[unit], LINK_SET | head);
    atomic_store(&heap->inbox, (uint32_t)unit + 1);
}

static void a_unit_of_an_abandoned_slab_is_routed_on(void) {
    static struct batch batch = {.size = 320, .count = 40};
    engine_free(engine_alloc(1));
    thread_run(alloc_in_thread, &batch);
    CHECK_EQUAL(entry_heap(page_map_load(window_unit(batch.blocks[10]))), HEAP_ABANDONED);
    free_halfway(batch.blocks[10]);
    misroute(window_unit(batch.blocks[10]), heap_mine);
    CHECK_VALID();
    collect(heap_mine, SIZE_MAX, true);
    CHECK_EQUAL(block_at(batch.blocks[10]).state, BLOCK_STATE_FREE);
    CHECK(!live_freed_remotely(batch.blocks[10]));
    CHECK_EQUAL(link_of_unit(window_unit(batch.blocks[10])), 0);
    CHECK_VALID();
    batch.blocks[10] = batch.blocks[--batch.count];
    batch_free(&batch);
    check_nothing_left();
}

/* Another thread has adopted the slab and waits: the unit goes into its inbox. */
static void *adopt_then_wait(void *unused) {
    (void)unused;
    void *mine[8];
    for (size_t i = 0; i < 8; i++) {
        mine[i] = engine_alloc(320);
    }
    CHECK(heap_mine->counters.adoptions > 0);
    pthread_barrier_wait(&step);
    pthread_barrier_wait(&step);
    for (size_t i = 0; i < 8; i++) {
        engine_free(mine[i]);
    }
    return NULL;
}

static void a_unit_of_a_slab_that_was_adopted_is_routed_on(void) {
    static struct batch batch = {.size = 320, .count = 40};
    engine_free(engine_alloc(1));
    thread_run(alloc_in_thread, &batch);
    pthread_t thread = thread_hold(adopt_then_wait, NULL, &step);
    size_t unit = window_unit(batch.blocks[39]);
    uint32_t id = entry_heap(page_map_load(unit));
    CHECK(id != HEAP_ABANDONED && id != heap_mine->id);
    free_halfway(batch.blocks[39]);
    misroute(unit, heap_mine);
    CHECK_VALID();
    collect(heap_mine, SIZE_MAX, true);
    CHECK_EQUAL(inbox_length(heap_mine), 0);
    CHECK_EQUAL(inbox_length(heap_of(id)), 1);
    CHECK_VALID();
    collect(heap_of(id), SIZE_MAX, false);
    CHECK_EQUAL(block_at(batch.blocks[39]).state, BLOCK_STATE_FREE);
    CHECK_VALID();
    end_owner(thread);
    batch.count--;
    batch_free(&batch);
    check_nothing_left();
}

/* The slab is gone, and its unit is free or large: there is nothing to collect. */
static void a_unit_that_is_no_slab_s_is_let_go(void) {
    char *large = engine_alloc(4 * UNIT);
    size_t unit = window_unit(large) + 1;
    misroute(unit, heap_mine);
    misroute(unit - 1, heap_mine);
    collect(heap_mine, SIZE_MAX, true);
    CHECK_EQUAL(link_of_unit(unit) | link_of_unit(unit - 1), 0);
    CHECK(block_at(large).state == BLOCK_STATE_LIVE);
    CHECK_VALID();
    engine_free(large);
    misroute(unit, heap_mine);
    collect(heap_mine, SIZE_MAX, true);
    CHECK_EQUAL(link_of_unit(unit), 0);
    CHECK_VALID();
    check_nothing_left();
}

/* A unit is in the inbox of a closing heap, and one of the heap's slabs is abandoned with it. */
static void *end_with_a_full_inbox(void *argument) {
    struct batch *batch = argument;
    batch_alloc(batch);
    pthread_barrier_wait(&step);
    pthread_barrier_wait(&step);
    /* For inbox_close, what arrives between the last collection and the closing is the same as what is there now. */
    lock_take(&heap_mine->lock);
    for (unsigned size_class = 0; size_class < SIZE_CLASSES; size_class++) {
        cached_flush_class(heap_mine, size_class);
        abandoned_leave(size_class, &heap_mine->classes[size_class].slabs);
    }
    heap_mine->slab_bytes = 0;
    CHECK(inbox_length(heap_mine) > 0);
    inbox_close(heap_mine);
    inbox_open(heap_mine);
    lock_give(&heap_mine->lock);
    return NULL;
}

static void what_is_in_an_inbox_that_closes_is_routed_on(void) {
    static struct batch batch = {.size = 320, .count = 2000};
    engine_free(engine_alloc(1));
    pthread_t thread = thread_hold(end_with_a_full_inbox, &batch, &step);
    for (size_t i = 0; i < batch.count / 2; i += 2) {
        engine_free(batch.blocks[i]);
    }
    CHECK(collect(heap_of(2), 1, false)); /* the rest is a backlog */
    for (size_t i = batch.count / 2; i < batch.count; i += 2) {
        engine_free(batch.blocks[i]);
    }
    CHECK(waiting_length(heap_of(2)) > 0 && chain_length(atomic_load(&heap_of(2)->inbox)) > 0);
    end_owner(thread);
    CHECK_EQUAL(batch_count(&batch, BLOCK_STATE_REMOTE), 0);
    CHECK_EQUAL(batch_count(&batch, BLOCK_STATE_FREE), batch.count / 2);
    CHECK_VALID();
    for (size_t i = 1; i < batch.count; i += 2) {
        engine_free(batch.blocks[i]);
    }
    check_nothing_left();
}

/* The slab's next owner is the freeing thread itself: then such a free is its own. */
static void a_thread_frees_into_a_slab_that_it_has_adopted(void) {
    static struct batch batch = {.size = 2112, .count = 30};
    end_owner(owner_with_frees_under_way(&batch));
    void *block = engine_alloc(2112);
    CHECK_EQUAL(heap_mine->counters.adoptions, 1);
    CHECK(slab_of(block) == slab_of(batch.blocks[0]));
    uint64_t remote = heap_mine->counters.remote_frees;
    engine_free(block);
    for (size_t i = 15; i < 30; i++) {
        engine_free(batch.blocks[i]);
    }
    CHECK_EQUAL(heap_mine->counters.remote_frees, remote);
    check_nothing_left();
}

/* --- Frees at the same moment ------------------------------------------------------------------------------------- */

/* Another thread has read the block's bits before this one freed it, and sets the remote bit afterwards. */
static void *free_at_the_same_moment(void) {
    CHECK(engine_alloc(64) != NULL); /* keeps the slab */
    void *block = engine_alloc(64);
    CHECK(engine_alloc(64) != NULL); /* keeps the slab */
    engine_free(block);
    atomic_fetch_or(&live_word_of(block)->remote, live_bit_of(block));
    return block;
}

static void a_block_freed_twice_at_the_same_moment_is_not_handed_out(void) {
    void *block = free_at_the_same_moment();
    CHECK(engine_alloc(64) != block);
    CHECK(false);
}

static void a_block_freed_twice_at_the_same_moment_is_found_by_the_collection(void) {
    void *block = free_at_the_same_moment();
    atomic_store(&window.inbox_links[window_unit(block)], LINK_SET);
    atomic_store(&heap_mine->inbox, (uint32_t)window_unit(block) + 1);
    engine_trim();
    CHECK(false);
}

/* The slab has been given back since, and only now the other thread announces its unit. */
static void a_block_freed_twice_at_the_same_moment_may_outlast_its_slab(void) {
    CHECK(root_start());
    struct heap *heap = thread_begin();
    bool zero;
    struct span span;
    CHECK(span_take(&span, 1, 1, UNIT_PART, &zero));
    span_give(&span);
    char *block = window_address(span.first);
    atomic_fetch_or(&live_word_of(block)->remote, live_bit_of(block));
    atomic_store(&window.inbox_links[span.first], LINK_SET);
    atomic_store(&heap->inbox, span.first + 1);
    lock_take(&heap->lock);
    CHECK(!inbox_collect(heap, 10, true)); /* ends */
    lock_give(&heap->lock);
    CHECK(atomic_load(&live_suspect_block) == block);
}

/* --- Threads without a heap -------------------------------------------------------------------------------------- */

static void *free_few_then_many(void *argument) {
    const struct batch *batch = argument;
    engine_free(batch->blocks[1]);
    CHECK(heap_mine == &heap_none);
    for (size_t i = 2; i < batch->count; i++) {
        engine_free(batch->blocks[i]);
    }
    CHECK(heap_mine != &heap_none);
    CHECK(atomic_load(&heap_mine->counters.remote_frees) >= batch->count / 2);
    return NULL;
}

/* Without one, each free would count in a word that all threads share. */
static void a_thread_that_frees_many_blocks_gets_a_heap(void) {
    static struct batch batch = {.size = 64, .count = 4000};
    batch_alloc(&batch);
    run_unwatched(free_few_then_many, &batch);
    CHECK_EQUAL(batch_count(&batch, BLOCK_STATE_REMOTE), batch.count - 1);
    CHECK_VALID();
    engine_free(batch.blocks[0]);
    check_nothing_left();
}

static pthread_key_t late;

/* Again, until the heap's own destructor has run: the order of destructors is unknown. */
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

static void a_free_after_the_heap_of_a_thread_goes_to_the_owner(void) {
    static struct batch batch = {.size = 80, .count = 5};
    batch_alloc(&batch);
    CHECK(pthread_key_create(&late, free_late) == 0);
    thread_run(free_after_the_heap_has_ended, &batch);
    CHECK_EQUAL(heaps.made, 2);
    CHECK_EQUAL(heaps.started, 2);
    CHECK_EQUAL(inbox_length(heap_mine), 1);
    CHECK_EQUAL(batch_count(&batch, BLOCK_STATE_REMOTE), 5);
    check_nothing_left();
}

static void a_free_after_every_heap_has_ended_goes_to_the_abandoned_slab(void) {
    static struct batch batch = {.size = 80, .count = 5};
    CHECK(root_start());
    CHECK(pthread_key_create(&late, free_late) == 0);
    thread_run(alloc_in_thread, &batch);
    CHECK(spans.live_units > 0);
    thread_run(free_after_the_heap_has_ended, &batch);
    CHECK(heap_mine == &heap_none);
    check_nothing_left();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        IN_BOTH_MODES(a_unit_is_announced_once),
        IN_BOTH_MODES(a_unit_that_was_collected_is_announced_again),
        IN_BOTH_MODES(a_backlog_is_collected_bit_by_bit),
        FRESH(a_refill_collects_the_oldest_unit_of_its_class),
        FRESH(one_refill_collects_a_bounded_number_of_units),
        FRESH(what_arrives_behind_a_backlog_is_not_lost),
        FRESH(a_slab_with_a_link_is_not_given_back),
        FRESH(remote_frees_take_no_memory),
        FRESH(a_free_without_memory_for_a_heap_is_a_free),
        IN_BOTH_MODES(the_owner_settles_what_another_thread_collected),
        IN_BOTH_MODES(every_one_of_many_owners_gets_its_blocks),
        IN_BOTH_MODES(a_thread_that_ends_collects_what_others_freed),
        FRESH(a_unit_of_an_abandoned_slab_is_routed_on),
        FRESH(a_unit_of_a_slab_that_was_adopted_is_routed_on),
        FRESH(a_unit_that_is_no_slab_s_is_let_go),
        IN_BOTH_MODES(what_is_in_an_inbox_that_closes_is_routed_on),
        IN_BOTH_MODES(a_thread_frees_into_a_slab_that_it_has_adopted),
        FRESH_FAULT(a_block_freed_twice_at_the_same_moment_is_not_handed_out, "check=every",
                    "free(@): double free: slot 1 of a 64-byte slab, freed by another thread"),
        FRESH_FAULT(a_block_freed_twice_at_the_same_moment_is_found_by_the_collection, "check=every",
                    "free(@): double free: slot 1 of a 64-byte slab, free"),
        FRESH(a_block_freed_twice_at_the_same_moment_may_outlast_its_slab),
        FRESH(a_thread_that_frees_many_blocks_gets_a_heap),
        FRESH(a_free_after_the_heap_of_a_thread_goes_to_the_owner),
        FRESH(a_free_after_every_heap_has_ended_goes_to_the_abandoned_slab),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
