/*
 * pool.c - a pool of threads after a burst. Each thread has served requests, of one MiB in small blocks or eight in
 * mixed ones, has freed everything and sleeps. Whatever an allocator keeps per thread, the process keeps for each.
 * rss_end_kib is what is resident one second after the last burst, while all threads sleep.
 */
#include "workload.h"

static pthread_barrier_t barrier;
static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER; /* one thread serves at a time */
static size_t start_kib, burst, largest;                 /* the bytes of a burst, and of its largest block */

/* Returns the number of calls. */
static size_t serve(uint64_t *random) {
    static void *blocks[100000];
    size_t count = 0;
    for (size_t bytes = 0; bytes < burst; count++) {
        size_t size = size_between(random, 16, largest + 1);
        blocks[count] = allocate(size);
        bytes += size;
    }
    for (size_t i = 0; i < count; i++) {
        release(blocks[i]);
    }
    return 2 * count;
}

/* The pool's first thread measures while all of them sleep. */
static void serve_and_sleep(size_t index) {
    uint64_t random = random_seed(index);
    pthread_barrier_wait(&barrier); /* all have started */
    if (index == 0) {
        start_kib = rss_kib();
    }
    pthread_barrier_wait(&barrier);
    pthread_mutex_lock(&turn);
    for (size_t left = scaled(10); left > 0; left--) {
        count_operations(serve(&random));
    }
    pthread_mutex_unlock(&turn);
    pthread_barrier_wait(&barrier); /* all have served */
    if (index == 0) {
        pause_seconds(1);
        slow_path();
        report(" rss_start_kib=%zu rss_end_kib=%zu", start_kib, rss_kib());
    }
    pthread_barrier_wait(&barrier);
}

static void pool(void) {
    pthread_barrier_init(&barrier, NULL, (unsigned)run.threads);
    in_threads(serve_and_sleep);
}

/* Blocks of up to 1,000 bytes */
static void small(void) {
    burst = MIB;
    largest = 1000;
    pool();
}

/* Blocks of up to 32,000 bytes */
static void mixed(void) {
    burst = 8 * MIB;
    largest = 32000;
    pool();
}

static const struct variant variants[] = {{"small", .whole = small, .threads = 200},
                                          {"mixed", .whole = mixed, .threads = 100}};

int main(int argc, char **argv) {
    return workload_main(argc, argv, variants, LENGTH(variants));
}
