/*
 * fork while other threads allocate and free all the time: parent and child both go on, with every block they can see.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/wait.h>
#include <unistd.h>

#include "stress.h"

#define THREADS 3
#define ENTRIES 1024
#define SIZE_BITS 16
#define WATCHDOG 60
#define SIZE_MAX_RARE (2 * MIB)

/* What a thread that a child does not have may have held: a block in its hands, and magazines and parcels of small
 * ones.
 */
#define LOST_MAX (SIZE_MAX_RARE + 4 * MIB)

/*
 * Blocks for all to take. Whoever makes an entry BUSY owns it; in a child, BUSY entries were caught in the hands of
 * threads that it does not have, and are left alone.
 */
enum { EMPTY, BUSY, FULL };

struct entry {
    atomic_int state;
    struct block block;
};

static struct entry table[ENTRIES];
static atomic_bool stop;

static bool entry_take(struct entry *entry, int from) {
    return atomic_compare_exchange_strong_explicit(&entry->state, &from, BUSY, memory_order_acquire,
                                                   memory_order_relaxed);
}

static void entry_give(struct entry *entry, int state) {
    atomic_store_explicit(&entry->state, state, memory_order_release);
}

static void make(struct block *block, uint64_t *random) {
    block->size = random_below(random, 500) == 0 ? random_below(random, SIZE_MAX_RARE) : random_size(random, SIZE_BITS);
    block->mark = next_random(random);
    block->memory = engine_alloc(block->size);
    CHECK(block->memory != NULL);
    block_fill(block);
}

static void resize(struct block *block, uint64_t *random) {
    size_t size = random_size(random, SIZE_BITS);
    unsigned char *memory = engine_realloc("realloc", block->memory, size);
    CHECK(memory != NULL);
    block->memory = memory;
    CHECK(block_intact(block, size));
    block->size = size;
    block_fill(block);
}

static void destroy(struct block *block) {
    CHECK(block_intact(block, SIZE_MAX));
    engine_free(block->memory);
}

/* Makes, resizes or frees the block of some entry. */
static void step(uint64_t *random) {
    struct entry *entry = &table[random_below(random, ENTRIES)];
    if (entry_take(entry, EMPTY)) {
        make(&entry->block, random);
        entry_give(entry, FULL);
    } else if (entry_take(entry, FULL)) {
        bool keep = random_below(random, 4) == 0;
        if (keep) {
            resize(&entry->block, random);
        } else {
            destroy(&entry->block);
        }
        entry_give(entry, keep ? FULL : EMPTY);
    }
}

static void *churn(void *seed) {
    uint64_t random = (uintptr_t)seed;
    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        step(&random);
    }
    return NULL;
}

static void *churn_a_little(void *seed) {
    uint64_t random = (uintptr_t)seed;
    for (unsigned i = 0; i < 500; i++) {
        step(&random);
    }
    return NULL;
}

/* Frees every `stride`-th block of the table. */
static void clear_table(size_t stride) {
    for (size_t i = 0; i < ENTRIES; i += stride) {
        if (entry_take(&table[i], FULL)) {
            destroy(&table[i].block);
            entry_give(&table[i], EMPTY);
        }
    }
}

static void expect_success(pid_t child) {
    int status = 0;
    CHECK(child > 0 && waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/*
 * A child's life: it takes over all that its parent's threads have left, works, starts a thread, and forks again.
 * Lost may be what those threads had in their hands and magazines at that moment, no more.
 */
static void live_as_child(unsigned generations, uintptr_t seed) {
    struct mems_engine_stats stats;
    alarm(WATCHDOG);
    CHECK_VALID();
    clear_table(2);
    churn_a_little((void *)seed);
    CHECK_VALID();
    if (!UNDER_TSAN) { /* TSan knows no threads in a child */
        run_in_thread(churn_a_little, (void *)(seed + 1));
    }
    if (generations > 1) {
        pid_t child = fork();
        if (child == 0) {
            live_as_child(generations - 1, seed + 2);
            _exit(0);
        }
        expect_success(child);
    }
    clear_table(1);
    engine_trim();
    CHECK_VALID();
    stats_collect(&stats);
    CHECK_AT_MOST(stats.live + stats.cached, (THREADS + 1) * LOST_MAX);
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
        churn_a_little((void *)(seed + i));
        expect_success(child);
    }
    return NULL;
}

/* `forkers` threads fork while THREADS others churn. */
static void run(unsigned forkers) {
    pthread_t threads[THREADS + 2];
    atomic_store(&stop, false);
    for (uintptr_t i = 0; i < THREADS; i++) {
        CHECK(pthread_create(&threads[i], NULL, churn, (void *)i) == 0);
    }
    for (uintptr_t i = THREADS; i < THREADS + forkers; i++) {
        CHECK(pthread_create(&threads[i], NULL, fork_repeatedly, (void *)(i * 100000)) == 0);
    }
    for (unsigned i = THREADS; i < THREADS + forkers; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
    }
    atomic_store(&stop, true);
    for (unsigned i = 0; i < THREADS; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
    }
}

static void *clear_whole_table(void *unused) {
    (void)unused;
    clear_table(1);
    return NULL;
}

static void test_child_of_a_busy_process_works(void **state) {
    (void)state;
    run(1);
    run_in_thread(clear_whole_table, NULL);
    check_nothing_left();
}

static void test_two_threads_fork_at_once(void **state) {
    (void)state;
    run(2);
    run_in_thread(clear_whole_table, NULL);
    check_nothing_left();
}

static void *fork_alone(void *unused) {
    (void)unused;
    for (unsigned i = 0; i < 20; i++) {
        churn_a_little((void *)(uintptr_t)i);
        pid_t child = fork();
        if (child == 0) {
            alarm(WATCHDOG);
            struct mems_engine_stats stats;
            clear_table(1);
            engine_trim();
            CHECK_VALID();
            stats_collect(&stats);
            CHECK_AT_MOST(stats.live + stats.large_blocks + stats.huge_blocks, 0);
            _exit(0);
        }
        expect_success(child);
    }
    clear_table(1);
    return NULL;
}

/* With no other thread in the midst of anything, there is nothing to lose: the child frees to the last byte. */
static void test_child_of_a_quiet_process_loses_nothing(void **state) {
    (void)state;
    run_in_thread(fork_alone, NULL);
    check_nothing_left();
}

/* Each generation starts threads, and forks the next one while they run; what is lost on the way is bounded. */
static void live_in_a_line(unsigned generations) {
    pthread_t threads[THREADS];
    alarm(WATCHDOG);
    CHECK_VALID();
    for (size_t i = 0; i < ENTRIES; i++) {
        if (atomic_load(&table[i].state) == BUSY) {
            entry_give(&table[i], EMPTY);
        }
    }
    if (generations == 0) {
        struct mems_engine_stats stats;
        clear_table(1);
        engine_trim();
        CHECK_VALID();
        stats_collect(&stats);
        CHECK_AT_MOST((size_t)stats.threads, 1);
        return;
    }
    atomic_store(&stop, false);
    for (uintptr_t i = 0; i < THREADS; i++) {
        CHECK(pthread_create(&threads[i], NULL, churn, (void *)(i + generations)) == 0);
    }
    churn_a_little((void *)(uintptr_t)generations);
    pid_t child = fork();
    if (child == 0) {
        live_in_a_line(generations - 1);
        _exit(0);
    }
    atomic_store(&stop, true);
    for (unsigned i = 0; i < THREADS; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
    }
    CHECK_VALID();
    expect_success(child);
}

static void test_a_line_of_busy_generations(void **state) {
    (void)state;
    if (UNDER_TSAN) {
        skip();
    }
    pid_t child = fork();
    if (child == 0) {
        live_in_a_line(scaled(30));
        _exit(0);
    }
    expect_success(child);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_child_of_a_quiet_process_loses_nothing),
        cmocka_unit_test(test_child_of_a_busy_process_works),
        cmocka_unit_test(test_two_threads_fork_at_once),
        cmocka_unit_test(test_a_line_of_busy_generations),
    };
    alarm(600);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
