/*
 * threads.c - threads that start and end.
 */
#include "workload.h"

/* Blocks that a thread takes over and leaves behind. */
struct tenancy {
    uint64_t random;
    void *left[100];
};

static void *dwell(void *argument) {
    struct tenancy *tenancy = argument;
    void *own[1000];
    for (size_t i = 0; i < LENGTH(own); i++) {
        own[i] = allocate(small_size(&tenancy->random));
    }
    for (size_t i = 0; i < LENGTH(own); i++) {
        release(own[i]);
    }
    for (size_t i = 0; i < LENGTH(tenancy->left); i++) {
        release(tenancy->left[i]);
        tenancy->left[i] = allocate(small_size(&tenancy->random));
    }
    return NULL;
}

/* Two threads at a time; each works for a while, frees what its predecessor left, and leaves as much to its
 * successor. */
static void turnover(void) {
    static struct tenancy tenancies[2];
    size_t generations = scaled(5000);
    for (size_t i = 0; i < LENGTH(tenancies); i++) {
        tenancies[i].random = random_seed(i);
        for (size_t j = 0; j < LENGTH(tenancies[i].left); j++) {
            tenancies[i].left[j] = allocate(small_size(&tenancies[i].random));
        }
    }
    for (size_t left = generations; left > 0; left--) {
        pthread_t threads[LENGTH(tenancies)];
        for (size_t i = 0; i < LENGTH(tenancies); i++) {
            threads[i] = start_thread(dwell, &tenancies[i]);
        }
        for (size_t i = 0; i < LENGTH(tenancies); i++) {
            pthread_join(threads[i], NULL);
        }
    }
    count_operations(LENGTH(tenancies) * 2200 * generations);
}

static void *visit(void *argument) {
    uint64_t *random = argument;
    void *blocks[10];
    for (size_t i = 0; i < LENGTH(blocks); i++) {
        blocks[i] = allocate(tail_size(random));
    }
    for (size_t i = 0; i < LENGTH(blocks); i++) {
        release(blocks[i]);
    }
    return NULL;
}

/* Threads that do next to nothing: what it costs an allocator to welcome one and see it off. */
static void short_lived(size_t index) {
    uint64_t random = random_seed(index);
    size_t count = share(25000, index);
    for (size_t left = count; left > 0; left--) {
        pthread_join(start_thread(visit, &random), NULL);
    }
    count_operations(20 * count);
}

/* A server's threads: each replaces a share of a table's blocks at random, and passes the table with its live blocks
 * on. */
#define REPLACEMENTS ((size_t)20000)
struct table {
    uint64_t random;
    void *live[1000];
};

static void *serve(void *argument) {
    struct table *table = argument;
    for (size_t left = REPLACEMENTS; left > 0; left--) {
        void **slot = &table->live[next_random(&table->random) % LENGTH(table->live)];
        release(*slot);
        *slot = allocate(size_between(&table->random, 16, 1024));
    }
    return NULL;
}

static void server(size_t index) {
    static _Thread_local struct table table;
    size_t generations = share(1600, index);
    table.random = random_seed(index);
    for (size_t i = 0; i < LENGTH(table.live); i++) {
        table.live[i] = allocate(size_between(&table.random, 16, 1024));
    }
    for (size_t left = generations; left > 0; left--) {
        pthread_join(start_thread(serve, &table), NULL);
    }
    count_operations(LENGTH(table.live) + 2 * REPLACEMENTS * generations);
}

/* Threads that have allocated a little and wait. First they only start, and reach as deep into their stacks as they
 * ever will; what they take beyond that when they allocate is the allocator's. */
static pthread_barrier_t barrier;

static void *idle(void *argument) {
    uint64_t random = random_seed(*(size_t *)argument);
    void *blocks[32] = {NULL};
    pthread_barrier_wait(&barrier); /* all have started */
    pthread_barrier_wait(&barrier); /* and are measured */
    for (size_t i = 0; i < LENGTH(blocks); i++) {
        blocks[i] = allocate(small_size(&random));
    }
    for (size_t i = 0; i < LENGTH(blocks); i += 2) {
        release(blocks[i]);
    }
    pthread_barrier_wait(&barrier); /* they have allocated */
    pthread_barrier_wait(&barrier); /* and are measured */
    for (size_t i = 1; i < LENGTH(blocks); i += 2) {
        release(blocks[i]);
    }
    return NULL;
}

static void idle_threads(void) {
    static pthread_t threads[100];
    static size_t numbers[LENGTH(threads)];
    size_t start = rss_kib();
    pthread_barrier_init(&barrier, NULL, LENGTH(threads) + 1);
    for (size_t i = 0; i < LENGTH(threads); i++) {
        numbers[i] = i;
        threads[i] = start_thread(idle, &numbers[i]);
    }
    pthread_barrier_wait(&barrier);
    size_t started = rss_kib();
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    size_t allocated = rss_kib();
    pthread_barrier_wait(&barrier);
    for (size_t i = 0; i < LENGTH(threads); i++) {
        pthread_join(threads[i], NULL);
    }
    count_operations(64 * LENGTH(threads));
    size_t count = LENGTH(threads);
    report(" rss_per_thread_kib=%.2f stack_per_thread_kib=%.2f", ((double)allocated - (double)started) / (double)count,
           ((double)started - (double)start) / (double)count);
}

static const struct variant variants[] = {{"turnover", .whole = turnover, .threads = 2},
                                          {"short_lived", .each = short_lived},
                                          {"server", .each = server},
                                          {"idle", .whole = idle_threads, .threads = 100}};

int main(int argc, char **argv) {
    return workload_main(argc, argv, variants, LENGTH(variants));
}
