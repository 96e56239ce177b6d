/*
 * A hundred thousand short threads, including some that allocate and free in their very last moments: nothing
 * accumulates.
 */
#include "support/test.h"

#include <limits.h>
#include <stdatomic.h>
#include <unistd.h>

#include "support/engine_heap.h"
#include "support/kernel.h"
#include "support/marked.h"
#include "support/random.h"
#include "support/thread.h"

#define LIVE_THREADS 4
#define BLOCKS 8
#define MAILBOXES 256
#define KEYS 3

/* Rounds in which a thread's destructors run. TSan itself is gone after the last but one. */
#ifdef PTHREAD_DESTRUCTOR_ITERATIONS
#define ROUNDS (PTHREAD_DESTRUCTOR_ITERATIONS - 2 * UNDER_TSAN)
#else
#define ROUNDS (4 - 2 * UNDER_TSAN)
#endif

/* A thread's work on its blocks in the destructors of its keys, some of which run after the engine's own. */
struct will {
    struct random random;
    unsigned calls;
};

static _Atomic(struct marked *) mailboxes[MAILBOXES];
static pthread_key_t keys[KEYS];
static pthread_key_t inherited_key;

static struct marked *make(struct random *random) {
    struct marked *block = malloc(sizeof *block);
    CHECK(block != NULL);
    *block = (struct marked){.size = random_size(random, 10)};
    block->mark = random_next(random);
    block->memory = engine_alloc(block->size);
    CHECK(block->memory != NULL);
    marked_fill(block);
    return block;
}

static void destroy(struct marked *block) {
    CHECK(marked_intact(block, SIZE_MAX));
    engine_free(block->memory);
    free(block);
}

/* Leaves a block for a later thread to free, and frees one that an earlier thread left. */
static void leave(struct random *random, struct marked *block) {
    block = atomic_exchange_explicit(&mailboxes[random_below(random, MAILBOXES)], block, memory_order_acq_rel);
    if (block != NULL) {
        destroy(block);
    }
}

static void *empty_mailboxes(void *unused) {
    (void)unused;
    for (size_t i = 0; i < MAILBOXES; i++) {
        struct marked *block = atomic_exchange(&mailboxes[i], NULL);
        if (block != NULL) {
            destroy(block);
        }
    }
    return NULL;
}

static void *short_life(void *seed) {
    struct random random = {.state = (uintptr_t)seed};
    struct marked *blocks[BLOCKS];
    for (size_t i = 0; i < BLOCKS; i++) {
        blocks[i] = make(&random);
    }
    for (size_t i = 0; i < BLOCKS; i++) {
        if (i % 4 == 0) {
            leave(&random, blocks[i]);
        } else {
            destroy(blocks[i]);
        }
    }
    return NULL;
}

/* Runs in every round of destructors, so it also comes after every other destructor. */
static void last_will(void *argument) {
    struct will *will = argument;
    leave(&will->random, make(&will->random));
    destroy(make(&will->random));
    if (++will->calls < ROUNDS * KEYS) {
        for (unsigned i = 0; i < KEYS; i++) {
            if (pthread_getspecific(keys[i]) == NULL) {
                CHECK(pthread_setspecific(keys[i], will) == 0);
                return;
            }
        }
    }
}

static void free_inherited(void *argument) {
    destroy(argument);
}

static void *life_with_a_will(void *seed) {
    static _Thread_local struct will will;
    will = (struct will){.random.state = (uintptr_t)seed};
    for (unsigned i = 0; i < KEYS; i++) {
        CHECK(pthread_setspecific(keys[i], &will) == 0);
    }
    /* Every other thread has no heap until its destructors run. */
    if ((uintptr_t)seed % 2 == 0) {
        CHECK(pthread_setspecific(inherited_key, make(&will.random)) == 0);
    }
    return NULL;
}

/* A thread that only ever frees, and only in a destructor. */
static void *life_of_a_freer(void *seed) {
    struct marked *block = atomic_exchange(&mailboxes[(uintptr_t)seed % MAILBOXES], NULL);
    if (block != NULL) {
        CHECK(pthread_setspecific(inherited_key, block) == 0);
    }
    return NULL;
}

/* Runs `total` threads, LIVE_THREADS at a time, and checks that the last nine tenths took no more memory. */
static void run(unsigned total, void *(*life)(void *), void *(*every_third)(void *)) {
    pthread_t threads[LIVE_THREADS];
    struct mems_engine_stats early = {0}, late;
    size_t early_resident = 0;
    total = scaled(total);
    for (unsigned i = 0; i < total; i++) {
        if (i >= LIVE_THREADS) {
            CHECK(pthread_join(threads[i % LIVE_THREADS], NULL) == 0);
        }
        if (i == total / 10) {
            stats_collect(&early);
            early_resident = resident_bytes();
        }
        CHECK(pthread_create(&threads[i % LIVE_THREADS], NULL, i % 3 == 0 ? every_third : life, (void *)(uintptr_t)i) ==
              0);
    }
    for (unsigned i = 0; i < LIVE_THREADS && i < total; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
    }
    stats_collect(&late);
    CHECK_AT_MOST((size_t)late.threads, 1);
    CHECK_AT_MOST(late.metadata, early.metadata + 512 * KIB);
    CHECK_AT_MOST(late.accessible, early.accessible + 4 * MIB);
    if (!UNDER_TSAN) {
        CHECK_AT_MOST(resident_bytes(), early_resident + 4 * MIB);
    }
    thread_run(empty_mailboxes, NULL);
    check_nothing_left();
}

static void short_threads_leave_nothing(void) {
    run(100000, short_life, short_life);
}

static void last_destructors_leave_nothing(void) {
    run(30000, life_with_a_will, life_with_a_will);
}

static void threads_that_only_free_at_their_end_leave_nothing(void) {
    run(30000, short_life, life_of_a_freer);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        PLAIN(short_threads_leave_nothing),
        PLAIN(last_destructors_leave_nothing),
        PLAIN(threads_that_only_free_at_their_end_leave_nothing),
    };
    alarm(1800);
    /* Destructors run in the order of the keys: one before the engine's key, if it creates one when first used, ... */
    CHECK(pthread_key_create(&keys[0], last_will) == 0);
    thread_run(short_life, NULL);
    /* ... and the others after it. */
    for (unsigned i = 1; i < KEYS; i++) {
        CHECK(pthread_key_create(&keys[i], last_will) == 0);
    }
    CHECK(pthread_key_create(&inherited_key, free_inherited) == 0);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
