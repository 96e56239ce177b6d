/*
 * Threads free each other's blocks, while some sleep, some end and start, others trim, and the kernel refuses calls:
 * every block keeps its contents, and at each quiet point all invariants hold.
 */
#include "support/fresh.h"

#include <errno.h>
#include <unistd.h>

#include "engine/root/root.h"
#include "support/crowd.h"
#include "support/engine_heap.h"

#define THREADS 5
#define STEPS 3000

/* How long a heap's thread must be away for others to reclaim what it does not use. */
#define IDLE_US 15000u

struct worker {
    pthread_t thread;
    struct random random;
    bool sleeps; /* through the next round */
    bool ends;   /* in the middle of the next round */
};

static struct worker workers[THREADS];
static pthread_barrier_t turn; /* the end of a round, and the start of the next */
static atomic_bool may_fail;   /* an allocation may fail */

static void *allocate(struct crowd_entry *entry, struct random *random) {
    switch (random_below(random, 8)) {
    case 0:
        return engine_alloc_zeroed(1, entry->block.size);
    case 1:
        return engine_alloc_aligned((size_t)16 << random_below(random, 8), entry->block.size);
    default:
        return engine_alloc(entry->block.size);
    }
}

/* The state of the entry afterwards. */
static int settle(struct crowd_entry *entry, struct random *random) {
    if (entry->handle == NULL) {
        CHECK(atomic_load(&may_fail) && errno == ENOMEM);
        return EMPTY;
    }
    crowd_settle(entry, random);
    return FULL;
}

static int resize(struct crowd_entry *entry, struct random *random) {
    size_t size = crowd_size(random);
    void *resized = engine_realloc("realloc", entry->handle, size);
    if (resized == NULL) {
        CHECK(atomic_load(&may_fail) && errno == ENOMEM);
        CHECK(marked_intact(&entry->block, SIZE_MAX));
        return FULL;
    }
    entry->handle = resized;
    entry->block.memory = resized;
    CHECK(marked_intact(&entry->block, size));
    entry->block.size = size;
    return settle(entry, random);
}

static void step(struct random *random) {
    struct crowd_entry *entry = &crowd.table[random_below(random, crowd.entries)];
    if (crowd_take(entry, EMPTY)) {
        entry->block.size = crowd_size(random);
        entry->handle = allocate(entry, random);
        crowd_give(entry, settle(entry, random));
    } else if (crowd_take(entry, FULL)) {
        if (random_below(random, 6) == 0) {
            crowd_give(entry, resize(entry, random));
        } else {
            crowd_destroy(entry);
            crowd_give(entry, EMPTY);
        }
    }
}

/* Frees the blocks of a run of entries, whoever made them. */
static void clear_some(struct random *random) {
    size_t first = random_below(random, crowd.entries);
    for (size_t i = 0; i < 60; i++) {
        struct crowd_entry *entry = &crowd.table[(first + i) % crowd.entries];
        if (crowd_take(entry, FULL)) {
            crowd_destroy(entry);
            crowd_give(entry, EMPTY);
        }
    }
}

static void work(struct random *random, unsigned steps) {
    for (unsigned i = 0; i < steps; i++) {
        step(random);
        if (random_below(random, 200) == 0) {
            clear_some(random);
        }
    }
}

static void *live(void *argument) {
    struct worker *worker = argument;
    for (;;) {
        if (worker->ends) {
            work(&worker->random, STEPS / 4);
            return NULL;
        }
        if (!worker->sleeps) {
            work(&worker->random, STEPS);
        }
        pthread_barrier_wait(&turn);
        pthread_barrier_wait(&turn);
    }
}

static void start(struct worker *worker) {
    worker->ends = worker->sleeps = false;
    CHECK(pthread_create(&worker->thread, NULL, live, worker) == 0);
}

/* Makes calls fail for a while: maps, protections, advice. */
static void inject(struct random *random) {
    static const enum os_call calls[] = {OS_CALL_MMAP, OS_CALL_MPROTECT, OS_CALL_MADVISE};
    if (random_below(random, 3) == 0) {
        atomic_store(&may_fail, true);
        for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
            os_inject(calls[i], random_below(random, 20), random_below(random, 60), ENOMEM);
        }
    }
}

/* The leading thread's part of a round. */
static void lead(struct random *random) {
    for (size_t i = 0; i < THREADS; i++) {
        if (workers[i].ends) {
            CHECK(pthread_join(workers[i].thread, NULL) == 0);
            start(&workers[i]);
        }
    }
    if (random_below(random, 3) == 0) {
        usleep(IDLE_US);
    }
    work(random, STEPS / 2);
    if (random_below(random, 4) == 0) {
        engine_trim();
    }
    work(random, STEPS / 2);
}

static void run(unsigned rounds, bool injects, bool scarce) {
    CHECK(pthread_barrier_init(&turn, NULL, THREADS + 1) == 0);
    atomic_store(&may_fail, scarce);
    for (size_t i = 0; i < THREADS; i++) {
        workers[i].random.state = random_next(&fresh_random);
        start(&workers[i]);
    }
    for (unsigned round = 0; round < rounds; round++) {
        atomic_store(&may_fail, scarce);
        if (injects) {
            inject(&fresh_random);
        }
        lead(&fresh_random);
        pthread_barrier_wait(&turn);
        os_inject_clear();
        CHECK_VALID();
        for (size_t i = 0; i < THREADS; i++) {
            workers[i].sleeps = random_below(&fresh_random, 3) == 0;
            workers[i].ends = random_below(&fresh_random, 10) == 0;
        }
        pthread_barrier_wait(&turn);
    }
    /* The last round ends all threads. */
    for (size_t i = 0; i < THREADS; i++) {
        if (workers[i].ends) {
            CHECK(pthread_join(workers[i].thread, NULL) == 0);
            start(&workers[i]);
        }
    }
    pthread_barrier_wait(&turn);
    CHECK_VALID();
    crowd_clear(1); /* with all threads there, and asleep */
    CHECK_VALID();
    engine_trim();
    CHECK_VALID();
    for (size_t i = 0; i < THREADS; i++) {
        workers[i].ends = true;
    }
    pthread_barrier_wait(&turn);
    for (size_t i = 0; i < THREADS; i++) {
        CHECK(pthread_join(workers[i].thread, NULL) == 0);
    }
    crowd_clear(1);
    check_nothing_left();
}

static void blocks_of_sleeping_and_ending_threads_stay_intact(void) {
    crowd.size_bits = 12;
    crowd.rare_size = 200 * KIB;
    run(scaled(100), false, false);
    CHECK(mems_root.failures == 0);
}

/* Few classes: many remote frees in the same words of the live map. */
static void small_blocks_of_few_classes_stay_intact(void) {
    crowd.size_bits = 6;
    run(scaled(100), false, false);
}

static void so_they_do_while_the_kernel_refuses(void) {
    crowd.size_bits = 14;
    crowd.rare_size = MIB;
    run(scaled(100), true, false);
}

static void so_they_do_where_memory_is_scarce(void) {
    crowd.size_bits = 16;
    run(scaled(30), false, true); /* a refused allocation looks into every heap first: these rounds take longest */
    CHECK(mems_root.failures > 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        IN_BOTH_MODES(blocks_of_sleeping_and_ending_threads_stay_intact),
        IN_BOTH_MODES(small_blocks_of_few_classes_stay_intact),
        IN_BOTH_MODES(so_they_do_while_the_kernel_refuses),
        FRESH_WITH(so_they_do_where_memory_is_scarce, "window=4m"),
        FRESH_WITH(so_they_do_where_memory_is_scarce, "window=4m,check=deferred"),
    };
    crowd.allocator = &allocator;
    crowd.entries = CROWD_ENTRIES;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
