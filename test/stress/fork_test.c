/*
 * fork while other threads allocate and free: parent and child both continue, with every block they can see.
 */
#include "support/test.h"

#include <unistd.h>

#include "support/child.h"
#include "support/crowd.h"
#include "support/engine_heap.h"

#define WATCHDOG 900
#define SIZE_MAX_RARE (2 * MIB)

/* What a thread that a child does not have may have held: a block in its hands, and magazines of small blocks. */
#define LOST_MAX (SIZE_MAX_RARE + 4 * MIB)

/*
 * A child's life: it takes over everything its parent's threads left, works, starts a thread, and forks again. It may
 * lose only what those threads had in their hands and magazines at that moment.
 */
static void live_as_child(unsigned generations, uintptr_t seed) {
    struct mems_engine_stats stats;
    alarm(WATCHDOG);
    CHECK_VALID();
    crowd_clear(2);
    crowd_churn_a_little((void *)seed);
    CHECK_VALID();
    if (!UNDER_TSAN) { /* TSan knows no threads in a child */
        thread_run(crowd_churn_a_little, (void *)(seed + 1));
    }
    if (generations > 1) {
        pid_t child = fork();
        if (child == 0) {
            live_as_child(generations - 1, seed + 2);
            _exit(0);
        }
        child_wait(child);
    }
    crowd_clear(1);
    engine_trim();
    CHECK_VALID();
    stats_collect(&stats);
    CHECK_AT_MOST(stats.live + stats.cached - stats.quarantined, (CROWD_THREADS + 1) * LOST_MAX);
    CHECK_AT_MOST((size_t)stats.threads, 1);
}

static void *fork_repeatedly(void *argument) {
    uintptr_t seed = (uintptr_t)argument;
    unsigned forks = scaled(100);
    for (uintptr_t i = 0; i < forks; i++) {
        pid_t child = fork();
        if (child == 0) {
            live_as_child(i % 8 == 0 ? 3 : 1, (seed + i) * 10);
            _exit(0);
        }
        crowd_churn_a_little((void *)(seed + i));
        child_wait(child);
    }
    return NULL;
}

static void *clear_whole_table(void *unused) {
    (void)unused;
    crowd_clear(1);
    return NULL;
}

static void a_child_of_a_busy_process_works(void) {
    crowd_run((struct crowd_task[]){{fork_repeatedly, 300000}}, 1);
    thread_run(clear_whole_table, NULL);
    check_nothing_left();
}

static void two_threads_can_fork_at_once(void) {
    crowd_run((struct crowd_task[]){{fork_repeatedly, 300000}, {fork_repeatedly, 400000}}, 2);
    thread_run(clear_whole_table, NULL);
    check_nothing_left();
}

static void *fork_alone(void *unused) {
    (void)unused;
    for (unsigned i = 0; i < 20; i++) {
        crowd_churn_a_little((void *)(uintptr_t)i);
        pid_t child = fork();
        if (child == 0) {
            alarm(WATCHDOG);
            struct mems_engine_stats stats;
            crowd_clear(1);
            engine_trim();
            CHECK_VALID();
            stats_collect(&stats);
            CHECK_AT_MOST(stats.live + stats.large_blocks + stats.huge_blocks, 0);
            _exit(0);
        }
        child_wait(child);
    }
    crowd_clear(1);
    return NULL;
}

/* If no other thread is inside the heap, nothing is lost: the child can free every byte. */
static void a_child_of_a_quiet_process_loses_nothing(void) {
    thread_run(fork_alone, NULL);
    check_nothing_left();
}

/* Each generation starts threads, and forks the next while they run; what is lost is bounded. */
static void live_in_a_line(unsigned generations) {
    pthread_t threads[CROWD_THREADS];
    alarm(WATCHDOG);
    CHECK_VALID();
    for (size_t i = 0; i < crowd.entries; i++) {
        if (atomic_load(&crowd.table[i].state) == BUSY) {
            crowd_give(&crowd.table[i], EMPTY);
        }
    }
    if (generations == 0) {
        struct mems_engine_stats stats;
        crowd_clear(1);
        engine_trim();
        CHECK_VALID();
        stats_collect(&stats);
        CHECK_AT_MOST((size_t)stats.threads, 1);
        return;
    }
    crowd_start(threads, generations);
    crowd_churn_a_little((void *)(uintptr_t)generations);
    pid_t child = fork();
    if (child == 0) {
        live_in_a_line(generations - 1);
        _exit(0);
    }
    crowd_stop(threads);
    CHECK_VALID();
    child_wait(child);
}

static void a_line_of_busy_generations_works(void) {
    if (UNDER_TSAN) {
        skip();
    }
    pid_t child = fork();
    if (child == 0) {
        live_in_a_line(scaled(30));
        _exit(0);
    }
    child_wait(child);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        PLAIN(a_child_of_a_quiet_process_loses_nothing),
        PLAIN(a_child_of_a_busy_process_works),
        PLAIN(two_threads_can_fork_at_once),
        PLAIN(a_line_of_busy_generations_works),
    };
    crowd.allocator = &allocator;
    crowd.entries = CROWD_ENTRIES;
    crowd.size_bits = 16;
    crowd.rare_size = SIZE_MAX_RARE;
    alarm(1800);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
