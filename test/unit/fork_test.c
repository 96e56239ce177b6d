/*
 * fork_test.c - remote frees at the moment of a fork: whatever their state, the child finds the memory, and so does the
 * child's child.
 */
#include "support/fresh.h"

#include "engine/modes/sweep.h"
#include "engine/root/root.h"
#include "engine/slabs/lookup.h"
#include "engine/slabs/slab.h"
#include "engine/slabs/slot_record.h"
#include "engine/start/fork.h"
#include "engine/tables/live_map.h"
#include "support/clock.h"
#include "support/engine_heap.h"
#include "support/engine_locked.h"
#include "support/thread.h"

#define BLOCKS 3000u
#define SIZE 1000u

static void *blocks[BLOCKS];
static pthread_barrier_t step;

/* Has blocks, and nothing in its magazines, which a child would lose. */
static void *hold_blocks(void *unused) {
    (void)unused;
    for (size_t i = 0; i < BLOCKS; i++) {
        blocks[i] = engine_alloc(SIZE);
        CHECK(blocks[i] != NULL);
        memset(blocks[i], (int)(i % 251), SIZE);
    }
    flush_mine();
    pthread_barrier_wait(&step);
    pthread_barrier_wait(&step);
    return NULL;
}

static pthread_t start_holder(void) {
    engine_free(engine_alloc(1));
    pthread_t thread = thread_hold(hold_blocks, NULL, &step);
    return thread;
}

static void free_from(size_t first, size_t stride, size_t end) {
    for (size_t i = first; i < end; i += stride) {
        engine_free(blocks[i]);
    }
}

static void check_contents(size_t first, size_t stride, size_t end) {
    for (size_t i = first; i < end; i += stride) {
        const unsigned char *bytes = blocks[i];
        for (size_t at = 0; at < SIZE; at++) {
            CHECK_EQUAL(bytes[at], i % 251);
        }
    }
}

/* The first third is freed: some of it collected by another thread, some in the backlog, some in the inbox. */
static void free_a_third(void) {
    struct heap *holder = heap_of(2);
    free_from(0, 3, BLOCKS / 2);
    CHECK(collect(holder, 3, false));
    free_from(BLOCKS / 2 / 3 * 3, 3, BLOCKS);
    CHECK(waiting_length(holder) > 0 && chain_length(atomic_load(&holder->inbox)) > 0);
    CHECK_VALID();
}

/* Nothing is announced, and every freed slot is free; the rest is live, and can be freed. */
static void check_child(void) {
    CHECK_VALID();
    CHECK_EQUAL(heaps.in_use, 1);
    for (size_t i = 0; i < BLOCKS; i++) {
        struct block block = block_at(blocks[i]);
        CHECK_EQUAL(block.state, i % 3 == 0 ? BLOCK_STATE_FREE : BLOCK_STATE_LIVE);
        CHECK_EQUAL(link_of_unit(window_unit(blocks[i])), 0);
    }
    check_contents(1, 3, BLOCKS);
    check_contents(2, 3, BLOCKS);
}

static void free_all_and_fork_again(void *generations) {
    int left = *(int *)generations - 1;
    check_child();
    if (left > 0) {
        child_succeeds(free_all_and_fork_again, &left);
    }
    free_from(1, 3, BLOCKS);
    free_from(2, 3, BLOCKS);
    check_nothing_left();
}

static void a_child_finds_what_was_freed_remotely(void) {
    pthread_t holder = start_holder();
    free_a_third();
    child_succeeds(free_all_and_fork_again, &(int){3});
    CHECK_VALID(); /* the parent is not affected */
    thread_release(holder, &step);
    CHECK_VALID();
    free_from(1, 3, BLOCKS);
    free_from(2, 3, BLOCKS);
    check_nothing_left();
}

static void *free_in_two_parts_and_stay(void *unused) {
    (void)unused;
    free_from(0, 3, BLOCKS / 2);
    pthread_barrier_wait(&step);
    pthread_barrier_wait(&step); /* some of it is collected, the rest is a backlog */
    free_from(BLOCKS / 2 / 3 * 3, 3, BLOCKS);
    pthread_barrier_wait(&step);
    pthread_barrier_wait(&step);
    return NULL;
}

static void free_what_is_left(void *unused) {
    (void)unused;
    CHECK_VALID();
    CHECK(inbox_length(heap_mine) > 0); /* announced again */
    free_from(1, 3, BLOCKS);
    free_from(2, 3, BLOCKS);
    check_nothing_left();
}

/* The forking thread has an inbox itself. */
static void a_child_has_its_own_inbox(void) {
    for (size_t i = 0; i < BLOCKS; i++) {
        blocks[i] = engine_alloc(SIZE);
        memset(blocks[i], (int)(i % 251), SIZE);
    }
    flush_mine();
    CHECK(pthread_barrier_init(&step, NULL, 2) == 0);
    pthread_t other;
    lock_take(&heap_mine->lock); /* nobody else collects */
    CHECK(pthread_create(&other, NULL, free_in_two_parts_and_stay, NULL) == 0);
    pthread_barrier_wait(&step);
    lock_give(&heap_mine->lock);
    CHECK(collect(heap_mine, 3, true));
    lock_take(&heap_mine->lock);
    pthread_barrier_wait(&step);
    pthread_barrier_wait(&step);
    lock_give(&heap_mine->lock);
    CHECK(waiting_length(heap_mine) > 0 && chain_length(atomic_load(&heap_mine->inbox)) > 0);
    child_succeeds(free_what_is_left, NULL);
    thread_release(other, &step);
    CHECK_VALID();
}

/* A thread of the child's makes blocks, and the child's child finds what the child freed of these. */
static void start_a_thread_and_fork(void *unused) {
    (void)unused;
    check_child();
    free_from(1, 3, BLOCKS);
    free_from(2, 3, BLOCKS);
    check_nothing_left();
    start_holder();
    free_a_third();
    child_succeeds(free_all_and_fork_again, &(int){2});
}

static void so_does_a_child_of_a_child_with_threads(void) {
    start_holder();
    free_a_third();
    struct child_result result;
    child_run(&result, start_a_thread_and_fork, NULL);
    /* QEMU 7 fails an assertion of its own if the child of a process with threads makes one. */
    if (strstr(result.err, "qemu_plugin_vcpu_init_hook") != NULL) {
        child_cannot();
    }
    fputs(result.err, stderr);
    CHECK(result.signal == 0 && result.status == 0);
}

/* Three freers were stopped: with the bit set; with the link claimed too; and about to push the unit, with its link
 * leading into the inbox. The parent is given up. */
static void a_child_finds_frees_that_were_not_announced(void) {
    start_holder();
    const struct heap *holder = heap_of(2);
    void *const stopped[] = {blocks[0], blocks[BLOCKS / 2 / 3 * 3], blocks[(BLOCKS - 1) / 3 * 3]};
    for (size_t i = 0; i < BLOCKS; i += 3) {
        const size_t unit = window_unit(blocks[i]);
        bool other = true;
        for (size_t j = 0; j < 3; j++) {
            other &= unit != window_unit(stopped[j]);
        }
        if (other) {
            engine_free(blocks[i]);
        } else {
            CHECK(live_end_remotely(blocks[i]));
        }
    }
    atomic_store(&window.inbox_links[window_unit(stopped[1])], LINK_SET);
    atomic_store(&window.inbox_links[window_unit(stopped[2])], LINK_SET | atomic_load(&holder->inbox));
    child_succeeds(free_all_and_fork_again, &(int){2});
    _exit(0);
}

static void find_nothing_left(void *unused) {
    (void)unused;
    check_nothing_left();
    CHECK_EQUAL(spans.live_units, 0);
}

/* A link that a stopped freer has set keeps a slab from going back, but in the child not permanently. */
static void a_link_that_leads_nowhere_keeps_nothing_in_the_child(void) {
    start_holder();
    free_from(0, 1, BLOCKS);
    collect(heap_of(2), SIZE_MAX, true); /* its thread sleeps */
    void *block = NULL;
    for (size_t i = 0; i < BLOCKS; i++) {
        block = entry_is_slab(page_map_load(window_unit(blocks[i]))) ? blocks[i] : block;
    }
    CHECK(block != NULL); /* the last slab of the class */
    atomic_store(&window.inbox_links[window_unit(block)], LINK_SET);
    child_succeeds(find_nothing_left, NULL);
    _exit(0);
}

/* Takes and frees blocks in all of the holder's slabs, and sweeps them. */
static void find_no_damage(void *unused) {
    (void)unused;
    CHECK_VALID();
    for (size_t i = 3; i < BLOCKS; i++) {
        engine_free(blocks[i]);
    }
    for (size_t i = 3; i < BLOCKS; i++) {
        blocks[i] = engine_alloc(SIZE);
    }
    sweep_all(heap_mine, "test");
    CHECK_VALID();
}

/* With harden=full. The kernel copies pages while other threads run: the child's copy of a block that is freed remotely
 * may be older than its remote bit; of one that is allocated, older than its record; of one that is freed by its own
 * thread, older than its live bit. */
static void a_child_takes_no_old_copies_for_damage(void) {
    pthread_t holder = start_holder();
    char *cut = (char *)blocks[1] + SIZE;
    const struct slot ended = slot_of(blocks[2], entry_class(page_map_load(window_unit(blocks[2]))));
    CHECK(live_end_remotely(blocks[0]));
    memset(cut, 0, 8);
    CHECK(live_end(blocks[2]));
    record_store(&ended, record_ended(record_load(&ended)));
    child_succeeds(find_no_damage, NULL);
    (void)holder;
    _exit(0); /* in the parent they are damaged */
}

static const struct lock *last_given;

static void give(struct lock *lock) {
    last_given = lock;
    lock_give_shared(lock);
}

/* Whoever has it may start the engine, which initialises the other locks. */
static void the_lock_of_the_start_is_given_back_last(void) {
    lock_ranks_suspend();
    fork_each_lock(lock_take_shared);
    fork_each_lock(give);
    lock_ranks_resume();
    CHECK(last_given == &mems_root.lock);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        IN_BOTH_MODES(a_child_finds_what_was_freed_remotely),
        IN_BOTH_MODES(so_does_a_child_of_a_child_with_threads),
        IN_BOTH_MODES(a_child_has_its_own_inbox),
        FRESH(a_child_finds_frees_that_were_not_announced),
        FRESH(a_link_that_leads_nowhere_keeps_nothing_in_the_child),
        FRESH(the_lock_of_the_start_is_given_back_last),
        FRESH_WITH(a_child_takes_no_old_copies_for_damage, "harden=full"),
    };
    clock_stop(); /* each test's process inherits it */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
