/*
 * bench_scale.c - bench_scale WORKLOAD THREADS BATCH OPERATIONS: what the engine's threads do to each other's caches
 * and locks. Linked with an engine whose accesses are counted (cache_lines.h); bench/scale builds both.
 *
 *   pairs    each thread allocates a block and frees it at once
 *   batches  each thread allocates BATCH blocks, then frees them
 *   calls    the same by engine_alloc_batch and engine_free_batch
 *   hand     each thread allocates BATCH blocks for the next thread, which frees them
 *   frees    the same, but that only the frees are counted
 *   churn    each thread replaces blocks at random among its 1000
 *   pass     the same, but that all threads share one table, so most blocks are freed by another thread
 *   large    each thread allocates BATCH blocks of 100 KB, then frees them
 *   turnover each thread starts a thread that allocates BATCH blocks, frees them and ends: an operation is a block
 *
 * An operation is a block's allocation and its free. Sizes are random multiples of 16 up to 512, those of large blocks
 * aside. Each thread does OPERATIONS of them, or a few more, after as many that are not counted.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cache_lines.h"
#include "engine/calls/batch.h"
#include "engine/engine.h"
#include "engine/samples/sample.h"

#define TABLE 1000
#define BATCH_MAX 4096
#define LARGE 100000
#define TURNS_MS 20000

struct worker {
    pthread_t thread;
    uint64_t random;
    void *_Atomic handed[BATCH_MAX]; /* to this thread; all NULL until the last is there */
    _Atomic size_t full;             /* how many of them */
    void *blocks[BATCH_MAX];
    uint64_t done;
    bool counts;
};

static struct worker *workers;
static size_t count, batch, operations;
static bool only_frees;
static _Atomic size_t turns;
static void *_Atomic table[TABLE];
static pthread_barrier_t barrier;

static uint64_t random_of(struct worker *worker) {
    worker->random = worker->random * UINT64_C(6364136223846793005) + 1442695040888963407;
    return worker->random >> 33;
}

static void *allocate(size_t size) {
    void *block = engine_alloc(size);
    if (block == NULL) {
        fprintf(stderr, "bench_scale: no memory\n");
        exit(1);
    }
    return block;
}

/* Before each block the other threads have their turns, so that they interleave on few cores as they would on many, and
 * the clock goes on as if each thread had its own core and took 50 ns a block. */
static void take_turns(void) {
    if (atomic_fetch_add(&turns, 1) % (TURNS_MS * count) == 0) {
        atomic_fetch_add(&lines_ms, 1);
    }
    sched_yield();
}

static void *any(struct worker *worker) {
    take_turns();
    return allocate(16 * (1 + random_of(worker) % 32));
}

/* --- The workloads: each does about the requested number of operations and returns how many ----------------------- */

static size_t pairs(struct worker *worker, size_t number) {
    for (size_t i = 0; i < number; i++) {
        engine_free(any(worker));
    }
    return number;
}

static size_t batches(struct worker *worker, size_t number) {
    size_t done = 0;
    for (; done < number; done += batch) {
        for (size_t i = 0; i < batch; i++) {
            worker->blocks[i] = any(worker);
        }
        for (size_t i = 0; i < batch; i++) {
            engine_free(worker->blocks[i]);
        }
    }
    return done;
}

static size_t calls(struct worker *worker, size_t number) {
    size_t done = 0;
    for (; done < number; done += batch) {
        take_turns();
        size_t got = batch_alloc(64, batch, worker->blocks);
        batch_free("batch_free", worker->blocks, got);
    }
    return done;
}

static size_t large(struct worker *worker, size_t number) {
    size_t done = 0;
    for (; done < number / 16; done += batch) {
        for (size_t i = 0; i < batch; i++) {
            take_turns();
            worker->blocks[i] = allocate(LARGE);
        }
        for (size_t i = 0; i < batch; i++) {
            engine_free(worker->blocks[i]);
        }
    }
    return done;
}

/* Frees what a worker was handed, and shows that it is done. */
static bool take_handed(struct worker *worker) {
    size_t full = atomic_load(&worker->full);
    if (worker->counts) {
        lines_begin();
    }
    for (size_t i = 0; i < full; i++) {
        take_turns();
        engine_free(atomic_load_explicit(&worker->handed[i], memory_order_relaxed));
    }
    if (only_frees) {
        lines_end();
    }
    if (full != 0) {
        atomic_store(&worker->full, 0);
    }
    return full != 0;
}

static size_t hand(struct worker *worker, size_t number) {
    struct worker *next = &workers[(size_t)(worker - workers + 1) % count];
    size_t given = 0, taken = 0;
    while (given < number || taken < number) {
        bool waits = true;
        if (given < number && atomic_load(&next->full) == 0) {
            for (size_t i = 0; i < batch; i++) {
                atomic_store_explicit(&next->handed[i], any(worker), memory_order_relaxed);
            }
            atomic_store(&next->full, batch);
            given += batch;
            waits = false;
        }
        if (take_handed(worker)) {
            taken += batch;
            waits = false;
        }
        if (waits) {
            sched_yield();
        }
    }
    return given;
}

static size_t churn(struct worker *worker, size_t number) {
    for (size_t i = 0; i < number; i++) {
        void **slot = &worker->blocks[random_of(worker) % TABLE];
        engine_free(*slot);
        *slot = any(worker);
    }
    return number;
}

static size_t pass(struct worker *worker, size_t number) {
    for (size_t i = 0; i < number; i++) {
        engine_free(atomic_exchange(&table[random_of(worker) % TABLE], any(worker)));
    }
    return number;
}

static void *short_life(void *worker) {
    lines_begin();
    batches(worker, batch);
    lines_end();
    return NULL;
}

static size_t turnover(struct worker *worker, size_t number) {
    size_t done = 0;
    pthread_t thread;
    for (size_t limit = number < 4 * batch ? number : 4 * batch; done < limit; done += batch) {
        if (pthread_create(&thread, NULL, short_life, worker) != 0 || pthread_join(thread, NULL) != 0) {
            fprintf(stderr, "bench_scale: no thread\n");
            exit(1);
        }
    }
    return done;
}

static const struct workload {
    const char *name;
    size_t (*run)(struct worker *worker, size_t number);
} workloads[] = {{"pairs", pairs}, {"batches", batches}, {"calls", calls}, {"hand", hand},        {"frees", hand},
                 {"churn", churn}, {"pass", pass},       {"large", large}, {"turnover", turnover}};
static const struct workload *chosen;

/* --- The threads
 * ------------------------------------------------------------------------------------------------------ */

static void *work(void *argument) {
    struct worker *worker = argument;
    chosen->run(worker, operations);
    pthread_barrier_wait(&barrier);
    worker->counts = true;
    if (!only_frees) {
        lines_begin();
    }
    worker->done = chosen->run(worker, operations);
    lines_end();
    pthread_barrier_wait(&barrier);
    return NULL;
}

/* Writes "calls writes=N reads=N locked=N locks=TAKEN:CONTENDED,...", the locks by rank. */
static void report(const char *what, bool upkeep) {
    struct line_counts counts = lines_total(upkeep);
    printf("%s writes=%lu reads=%lu locked=%lu locks=", what, counts.writes, counts.reads, counts.locked);
    for (unsigned rank = 0; rank < LINE_RANKS; rank++) {
        printf("%s%lu:%lu", rank > 0 ? "," : "", counts.taken[rank], counts.contended[rank]);
    }
    printf("\n");
}

int main(int argc, char **argv) {
    if (argc != 5) {
        fprintf(stderr, "usage: bench_scale WORKLOAD THREADS BATCH OPERATIONS\n");
        return 2;
    }
    for (size_t i = 0; i < sizeof workloads / sizeof *workloads; i++) {
        chosen = strcmp(argv[1], workloads[i].name) == 0 ? &workloads[i] : chosen;
    }
    count = strtoul(argv[2], NULL, 10);
    batch = strtoul(argv[3], NULL, 10);
    operations = strtoul(argv[4], NULL, 10);
    only_frees = strcmp(argv[1], "frees") == 0;
    workers = calloc(count, sizeof *workers);
    if (chosen == NULL || count == 0 || count > 256 || batch == 0 || batch > BATCH_MAX || operations == 0 ||
        workers == NULL) {
        fprintf(stderr, "bench_scale: %s %s %s: no such workload, or out of range\n", argv[1], argv[2], argv[3]);
        return 2;
    }
    pthread_barrier_init(&barrier, NULL, (unsigned)count);
    for (size_t i = 0; i < count; i++) {
        workers[i].random = i + 1;
        if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0) {
            fprintf(stderr, "bench_scale: no thread %zu\n", i);
            return 1;
        }
    }
    uint64_t done = 0;
    for (size_t i = 0; i < count; i++) {
        pthread_join(workers[i].thread, NULL);
        done += workers[i].done;
    }
    printf("done %lu\n", done);
    report("calls", false);
    report("upkeep", true);
    printf("samples taken=%lu\n", samples.number);
    lines_places(stdout);
    return 0;
}
