/*
 * bench_longest.c - bench_longest [CALLS]: the longest malloc and free in situations that are bad for a heap, in
 * instructions and system calls (single_step.h).
 *
 *     NAME calls mean most system_calls
 *
 * on each line: the number of calls, at most about CALLS of each function; the mean and the maximum of instructions,
 * the maximum of system calls. Each counted instruction takes a trap, some microseconds. Blocks are written to, so
 * memory is dirty; clearing and copying for a program is not measured, because it takes as long as it is.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "single_step.h"

#define MANY 300 /* CALLS, if not given */
#define FEWEST 30
#define PEAK 256   /* blocks of 1 MiB */
#define CROWD 100  /* threads */
#define FULL 20000 /* blocks of FULL_SIZE bytes, in some 20 units */
#define FULL_SIZE 64

static struct {
    uint64_t calls, total, most, system_calls;
} tally;

static void *blocks[MANY];
static void *full[FULL];
static size_t many = MANY;
static uint64_t state = 1;

static size_t below(size_t limit) {
    state = state * UINT64_C(6364136223846793005) + 1442695040888963407;
    return (size_t)(state >> 33) % limit;
}

static void count(void) {
    uint64_t taken = single_steps();
    tally.calls++;
    tally.total += taken;
    tally.most = taken > tally.most ? taken : tally.most;
    tally.system_calls = step_calls > tally.system_calls ? step_calls : tally.system_calls;
}

static void report(const char *name) {
    printf("%s %lu %lu %lu %lu\n", name, tally.calls, tally.total / tally.calls, tally.most, tally.system_calls);
    memset(&tally, 0, sizeof tally);
}

static void *counted_alloc(size_t size) {
    single_step_start();
    void *block = malloc(size);
    single_step_stop();
    count();
    if (block == NULL) {
        fprintf(stderr, "bench_longest: no memory\n");
        exit(1);
    }
    return block;
}

static void counted_free(void *block) {
    single_step_start();
    free(block);
    single_step_stop();
    count();
}

static void in_thread(void *(*function)(void *)) {
    pthread_t thread;
    pthread_create(&thread, NULL, function, NULL);
    pthread_join(thread, NULL);
}

static void fill(void) {
    for (size_t i = 0; i < FULL; i++) {
        full[i] = memset(malloc(FULL_SIZE), 1, FULL_SIZE);
    }
}

static void *fill_in_thread(void *unused) {
    fill();
    return unused;
}

/* Every block from `first` on, in steps. */
static void empty(size_t first, size_t step) {
    for (size_t i = first; i < FULL; i += step) {
        free(full[i]);
    }
}

static void *empty_in_thread(void *unused) {
    empty(0, 1);
    return unused;
}

/* Of the size of those in `full`, which are freed again. */
static void allocate_counted(const char *name) {
    for (size_t i = 0; i < many; i++) {
        blocks[i] = counted_alloc(FULL_SIZE);
    }
    for (size_t i = 0; i < many; i++) {
        counted_free(blocks[i]);
    }
    report(name);
}

/* --- Situations ------------------------------------------------------------------------------------------------- */

/* A thread's first malloc makes its heap. */
static void *first(void *unused) {
    free(counted_alloc(100));
    return unused;
}

static void pairs(void) {
    for (size_t i = 0; i < many; i++) {
        counted_free(counted_alloc(16 + below(1009)));
    }
    report("pairs");
}

/* Blocks of all sizes, freed in another order. */
static void grow_and_shrink(size_t most) {
    for (size_t i = 0; i < many; i++) {
        size_t size = 16 + below(most);
        blocks[i] = memset(counted_alloc(size), 1, size);
    }
    report("growing");
    for (size_t i = many; i > 1; i--) {
        size_t j = below(i);
        void *block = blocks[j];
        blocks[j] = blocks[i - 1];
        blocks[i - 1] = block;
    }
    for (size_t i = 0; i < many; i++) {
        counted_free(blocks[i]);
    }
    report("shrinking");
}

/* Memory freed at once goes back while small blocks are needed. */
static void after_a_peak(void) {
    static void *large[PEAK];
    for (size_t i = 0; i < PEAK; i++) {
        large[i] = memset(malloc((size_t)1 << 20), 1, (size_t)1 << 20);
    }
    for (size_t i = 0; i < PEAK; i++) {
        if (i % 4 == 0) {
            counted_free(large[i]);
        } else {
            free(large[i]);
        }
    }
    report("freeing_256_MiB");
    for (size_t second = 0; second < 2; second++) {
        for (size_t i = 0; i < many / 4; i++) {
            counted_free(counted_alloc(16 + below(20000)));
        }
        usleep(700000); /* longer than memory stays */
    }
    report("after_256_MiB");
}

static void large(void) {
    for (size_t i = 0; i < many / 4; i++) {
        size_t at = below(100);
        counted_free(blocks[at]);
        blocks[at] = counted_alloc((size_t)1 << (15 + below(12)));
    }
    for (size_t i = 0; i < 100; i++) {
        free(blocks[i]);
    }
    report("32_KiB_to_64_MiB");
}

static void *free_all(void *unused) {
    for (size_t i = 0; i < many; i++) {
        free(blocks[i]);
    }
    return unused;
}

/* Another thread frees all blocks, and they are collected here. */
static void collect(void) {
    for (size_t i = 0; i < many; i++) {
        blocks[i] = malloc(16 + below(1009));
    }
    in_thread(free_all);
    for (size_t i = 0; i < many; i++) {
        blocks[i] = counted_alloc(16 + below(1009));
    }
    report("collecting");
}

static void *free_counted(void *unused) {
    for (size_t i = 0; i < many; i++) {
        counted_free(blocks[i]);
    }
    return unused;
}

/* Adopts the slabs of a thread that has ended. */
static void adopt(void) {
    in_thread(fill_in_thread);
    empty(0, 2);
    allocate_counted("adopting");
    empty(1, 2);
}

/* Many units wait in the heap's inbox. */
static void collect_many(void) {
    fill();
    in_thread(empty_in_thread);
    allocate_counted("collecting_many");
}

/* Small blocks that were freed at once have lain long enough for their pages to go back. */
static void purge(void) {
    fill();
    empty(0, 1);
    usleep(700000);
    allocate_counted("purging");
}

static void huge(void) {
    for (size_t i = 0; i < many / FEWEST; i++) {
        counted_free(counted_alloc((size_t)100 << 20));
    }
    report("huge");
}

static pthread_barrier_t ready, done;

static void *fill_and_sleep(void *unused) {
    fill();
    pthread_barrier_wait(&ready);
    pthread_barrier_wait(&done);
    return unused;
}

/* Steals blocks that were freed in a sleeping thread's heap. */
static void steal(void) {
    pthread_t thread;
    pthread_barrier_init(&ready, NULL, 2);
    pthread_barrier_init(&done, NULL, 2);
    pthread_create(&thread, NULL, fill_and_sleep, NULL);
    pthread_barrier_wait(&ready);
    empty(0, 2);
    usleep(50000);
    allocate_counted("stealing");
    pthread_barrier_wait(&done);
    pthread_join(thread, NULL);
    empty(1, 2);
}

/* Many classes of many threads have magazines, so there is no budget for more. */
static void *hoard(void *unused) {
    void *own[200];
    for (size_t size = 16; size <= 1024; size += 16) {
        for (size_t i = 0; i < 200; i++) {
            own[i] = malloc(size);
        }
        for (size_t i = 0; i < 200; i++) {
            free(own[i]);
        }
    }
    pthread_barrier_wait(&ready);
    pthread_barrier_wait(&done);
    return unused;
}

static void *idle(void *unused) {
    void *own[100];
    for (size_t i = 0; i < 100; i++) {
        own[i] = malloc(16 + 40 * i);
    }
    for (size_t i = 0; i < 100; i++) {
        free(own[i]);
    }
    pthread_barrier_wait(&ready);
    pthread_barrier_wait(&done);
    return unused;
}

/* A heap grows beside many whose threads sleep. */
static void beside(void *(*sleeper)(void *), const char *name) {
    pthread_t threads[CROWD];
    pthread_barrier_init(&ready, NULL, CROWD + 1);
    pthread_barrier_init(&done, NULL, CROWD + 1);
    for (size_t i = 0; i < CROWD; i++) {
        pthread_create(&threads[i], NULL, sleeper, NULL);
    }
    pthread_barrier_wait(&ready);
    usleep(50000);
    for (size_t i = 0; i < many; i++) {
        blocks[i] = counted_alloc(16 + below(4000));
    }
    for (size_t i = 0; i < many; i++) {
        counted_free(blocks[i]);
    }
    pthread_barrier_wait(&done);
    for (size_t i = 0; i < CROWD; i++) {
        pthread_join(threads[i], NULL);
    }
    report(name);
}

int main(int argument_count, char **arguments) {
    many = argument_count > 1 ? strtoul(arguments[1], NULL, 10) : MANY;
    if (many < FEWEST || many > MANY) {
        fprintf(stderr, "bench_longest: %s is not a number from %d to %d\n", arguments[1], FEWEST, MANY);
        return 2;
    }
    setvbuf(stdout, NULL, _IONBF, 0);
    single_step_begin();
    counted_free(counted_alloc(100));
    report("first_of_a_process");
    in_thread(first);
    report("first_of_a_thread");
    pairs();
    grow_and_shrink(1008);
    memset(blocks, 0, sizeof blocks);
    large();
    after_a_peak();
    collect();
    in_thread(free_counted);
    report("remote_frees");
    adopt();
    collect_many();
    purge();
    huge();
    steal();
    beside(idle, "beside_100_idle_threads");
    beside(hoard, "without_a_budget");
    return 0;
}
