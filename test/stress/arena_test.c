/*
 * arena_test.c - threads that share arenas: they allocate, resize and free each other's blocks, with children forked
 * meanwhile; then all that is left ends with its arena.
 */
#include "support/fresh.h"

#include <stdatomic.h>
#include <unistd.h>

#include "engine/calls/arena.h"
#include "engine/heaps/heap.h"
#include "mems.h"
#include "support/engine_heap.h"
#include "support/marked.h"
#include "support/thread.h"

#define THREADS 4u
#define ARENAS 3u
#define SLOTS 400u

static struct mems_arena *arenas[ARENAS];

/* A block on its way from one thread to another: whoever takes it out of the table has it. */
struct parcel {
    struct marked block;
    unsigned arena;
};

static _Atomic(struct parcel *) table[SLOTS];

static void check_and_free(struct random *random, struct parcel *parcel) {
    CHECK(marked_intact(&parcel->block, SIZE_MAX));
    if (random_below(random, 2) == 0) {
        engine_free(parcel->block.memory);
    } else {
        arena_free("test", arenas[parcel->arena], parcel->block.memory);
    }
    engine_free(parcel);
}

static struct parcel *make(struct random *random) {
    struct parcel *parcel = engine_alloc(sizeof *parcel);
    parcel->arena = (unsigned)random_below(random, ARENAS);
    parcel->block = (struct marked){.size = 1 + random_size(random, 16), .mark = random_next(random)};
    parcel->block.memory = arena_alloc("test", arenas[parcel->arena], parcel->block.size);
    CHECK(parcel->block.memory != NULL);
    marked_fill(&parcel->block);
    return parcel;
}

static void resize(struct random *random, struct parcel *parcel) {
    size_t before = parcel->block.size;
    parcel->block.size = 1 + random_size(random, 16);
    parcel->block.memory = arena_realloc("test", arenas[parcel->arena], parcel->block.memory, parcel->block.size);
    CHECK(marked_intact(&parcel->block, before < parcel->block.size ? before : parcel->block.size));
    marked_fill(&parcel->block);
}

static void *work(void *seed) {
    struct random random = {.state = *(uint64_t *)seed};
    for (unsigned i = 0; i < scaled(60000); i++) {
        _Atomic(struct parcel *) *place = &table[random_below(&random, SLOTS)];
        /* Release and acquire: the block's bytes go along. */
        struct parcel *parcel = atomic_exchange_explicit(place, NULL, memory_order_acq_rel);
        if (parcel == NULL) {
            parcel = make(&random);
        } else if (random_below(&random, 4) == 0) {
            resize(&random, parcel);
        } else {
            check_and_free(&random, parcel);
            parcel = NULL;
        }
        parcel = parcel != NULL ? atomic_exchange_explicit(place, parcel, memory_order_acq_rel) : NULL;
        if (parcel != NULL) {
            check_and_free(&random, parcel);
        }
    }
    return NULL;
}

/* In a child the arenas are as they were, whatever the other threads were doing. */
static void fork_now(void) {
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        alarm(900);
        CHECK_VALID();
        for (unsigned i = 0; i < ARENAS; i++) {
            CHECK(arena_alloc("test", arenas[i], 100) != NULL);
            arena_destroy("test", arenas[i]);
        }
        CHECK_VALID();
        _exit(0);
    }
    child_wait(child);
}

static void threads_share_arenas(void) {
    pthread_t threads[THREADS];
    uint64_t seeds[THREADS];
    for (unsigned i = 0; i < ARENAS; i++) {
        arenas[i] = arena_create("shared");
    }
    for (unsigned i = 0; i < THREADS; i++) {
        seeds[i] = random_next(&fresh_random);
        CHECK(pthread_create(&threads[i], NULL, work, &seeds[i]) == 0);
    }
    for (unsigned i = 0; i < 20 && !UNDER_TSAN; i++) {
        usleep(1000);
        fork_now();
    }
    for (unsigned i = 0; i < THREADS; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
    }
    CHECK_VALID();
    size_t left = 0;
    for (unsigned i = 0; i < SLOTS; i++) {
        if (table[i] != NULL) {
            CHECK(marked_intact(&table[i]->block, SIZE_MAX));
            engine_free(table[i]);
            left++;
        }
    }
    size_t counted = 0;
    for (unsigned i = 0; i < ARENAS; i++) {
        struct mems_arena_stats stats;
        arena_stats("test", arenas[i], &stats);
        counted += stats.blocks;
        arena_destroy("test", arenas[i]);
    }
    CHECK_EQUAL(counted, left);
    check_nothing_left();
}

static void *make_and_destroy(void *seed) {
    struct random random = {.state = *(uint64_t *)seed};
    for (unsigned i = 0; i < scaled(300); i++) {
        struct mems_arena *arena = arena_create("short");
        for (size_t blocks = random_below(&random, 200); blocks != 0; blocks--) {
            void *block = arena_alloc("test", arena, random_size(&random, 16));
            CHECK(block != NULL);
            if (random_below(&random, 3) == 0) {
                engine_free(block);
            }
        }
        arena_destroy("test", arena);
    }
    return NULL;
}

static void arenas_come_and_go_in_threads(void) {
    pthread_t threads[THREADS];
    uint64_t seeds[THREADS];
    for (unsigned i = 0; i < THREADS; i++) {
        seeds[i] = random_next(&fresh_random);
        CHECK(pthread_create(&threads[i], NULL, make_and_destroy, &seeds[i]) == 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
    }
    CHECK_EQUAL(heaps.arenas, 0);
    CHECK_AT_MOST(heaps.made, 2 * THREADS + 1);
    check_nothing_left();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        IN_BOTH_MODES(threads_share_arenas),
        FRESH_WITH(threads_share_arenas, "harden=light"),
        FRESH_WITH(threads_share_arenas, "harden=full"),
        IN_BOTH_MODES(arenas_come_and_go_in_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
