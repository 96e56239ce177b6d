/*
 * owners.c - one thread frees blocks that others have allocated, while those sleep. An allocator that leaves such a
 * block for its owner to collect cannot use the memory until the owner wakes up.
 *
 * freer_2 to freer_64: 2 to 64 threads allocate messages of 64 bytes and sleep; one thread frees all of them, a message
 * of each owner in turn. Then the owners allocate again. sleeping: the first thread loads data and waits; a worker
 * frees all of it and builds as much again. rss_end_kib is what stays resident one second after everything is freed,
 * while the owners still exist.
 */
#include "workload.h"

#define MESSAGES 6000000
#define ROUNDS 4
static pthread_barrier_t barrier;
static void **messages; /* those of each owner lie together */
static size_t start_kib;

static void own(size_t index, size_t count) {
    for (size_t i = 0; i < count; i++) {
        messages[index * count + i] = allocate(64);
    }
}

static void free_in_turn(size_t owners, size_t count) {
    for (size_t i = 0; i < count; i++) {
        for (size_t owner = 0; owner < owners; owner++) {
            release(messages[owner * count + i]);
        }
    }
}

static void report_end(void) {
    pause_seconds(1);
    slow_path();
    report(" rss_start_kib=%zu rss_end_kib=%zu", start_kib, rss_kib());
}

/* Thread 0 frees, the others are owners. Between two barriers either the owners work or the freer does. */
static void free_or_own(size_t index) {
    size_t owners = run.threads - 1;
    size_t count = scaled(MESSAGES) / owners;
    pthread_barrier_wait(&barrier); /* all have started */
    if (index == 0) {
        start_kib = rss_kib();
    }
    for (int rounds = 0; rounds < ROUNDS; rounds++) {
        pthread_barrier_wait(&barrier);
        if (index > 0) {
            own(index - 1, count);
        }
        pthread_barrier_wait(&barrier);
        if (index == 0) {
            free_in_turn(owners, count);
        }
    }
    if (index == 0) {
        report_end();
        count_operations(2 * ROUNDS * owners * count);
    }
    pthread_barrier_wait(&barrier);
}

static void freer(void) {
    messages = resident_table(scaled(MESSAGES));
    pthread_barrier_init(&barrier, NULL, (unsigned)run.threads);
    in_threads(free_or_own);
}

/* The data of `sleeping`: blocks of 200 bytes, about 800 MB. */
#define DATA 4000000
#define DATA_SIZE 200
static void **data;

static double rss_over_live(void) {
    return (double)(rss_kib() - start_kib) * (double)KIB / (double)(scaled(DATA) * DATA_SIZE);
}

static void load(void) {
    for (size_t i = 0; i < scaled(DATA); i++) {
        data[i] = allocate(DATA_SIZE);
    }
}

static void drop(void) {
    for (size_t i = 0; i < scaled(DATA); i++) {
        release(data[i]);
    }
}

static void *rebuild(void *ratio) {
    drop();
    pause_seconds(0.7);
    slow_path();
    report(" rss_freed_kib=%zu", rss_kib());
    load();
    *(double *)ratio = rss_over_live();
    drop();
    return NULL;
}

static void sleeping(void) {
    double rebuilt = 0;
    data = resident_table(scaled(DATA));
    start_kib = rss_kib();
    load();
    double loaded = rss_over_live();
    pthread_join(start_thread(rebuild, &rebuilt), NULL);
    report_end();
    report(" rss_over_live_mean=%.3f rss_over_live_worst=%.3f", (loaded + rebuilt) / 2,
           loaded > rebuilt ? loaded : rebuilt);
    count_operations(4 * scaled(DATA));
}

static const struct variant variants[] = {{"freer_2", .whole = freer, .threads = 3},
                                          {"freer_16", .whole = freer, .threads = 17},
                                          {"freer_17", .whole = freer, .threads = 18},
                                          {"freer_64", .whole = freer, .threads = 65},
                                          {"sleeping", .whole = sleeping, .threads = 2}};

int main(int argc, char **argv) {
    return workload_main(argc, argv, variants, LENGTH(variants));
}
