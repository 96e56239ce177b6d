/*
 * bench_workloads.c - what the benchmark measures: bench_workloads NAME [PERCENT] does one workload's fixed amount of
 * work, or PERCENT of it, and prints one line:
 *
 *   workload=churn seconds=0.412345 peak_rss_kib=2340
 *
 * Without a NAME it lists them. The seconds are those of the work alone, the peak that of the whole process. Every
 * random number comes from a fixed seed, so each allocator sees the same requests in the same order; with two threads,
 * the same ones in each.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LENGTH(array) (sizeof(array) / sizeof *(array))
#define PAGE ((size_t)4096)

static size_t percent = 100;

static size_t scaled(size_t count) {
    size_t result = count * percent / 100;
    return result > 0 ? result : 1;
}

static void die(const char *what) {
    fprintf(stderr, "bench_workloads: %s\n", what);
    exit(1);
}

/* xorshift64*: a few instructions, so that what is measured is the allocator. */
static inline uint32_t next_random(uint64_t *state) {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return (uint32_t)(*state * 0x2545F4914F6CDD1D >> 32);
}

/* A block that has been written to, as a program's block would be: its first word. */
static inline void *allocate(size_t size) {
    void *block = malloc(size);
    if (block == NULL)
        die("malloc failed");
    *(uint64_t *)block = size;
    return block;
}

/* Writes to each page from the byte at `from`, so that it is resident. */
static void touch(char *block, size_t from, size_t size) {
    for (size_t at = from; at < size; at += PAGE)
        block[at] = (char)at;
    block[size - 1] = 1;
}

static inline size_t small_size(uint64_t *random) {
    return 16 + next_random(random) % 240;
}

/* A working set of small blocks, one after the other replaced: what most programs do most of the time. */
static void churn(void) {
    static void *live[1024];
    uint64_t random = 1;
    for (size_t left = scaled(20000000); left > 0; left--) {
        void **slot = &live[next_random(&random) % LENGTH(live)];
        free(*slot);
        *slot = allocate(small_size(&random));
    }
    for (size_t i = 0; i < LENGTH(live); i++)
        free(live[i]);
}

/* The batches: many small blocks, then all of them freed, in the order that `order` gives. */
static void *batch[20000];
static uint32_t order[LENGTH(batch)];

static void batches(void) {
    uint64_t random = 2;
    for (size_t left = scaled(400); left > 0; left--) {
        for (size_t i = 0; i < LENGTH(batch); i++)
            batch[i] = allocate(small_size(&random));
        for (size_t i = 0; i < LENGTH(batch); i++)
            free(batch[order[i]]);
    }
}

static void batch_in_order(void) {
    for (uint32_t i = 0; i < LENGTH(order); i++)
        order[i] = i;
    batches();
}

static void batch_reverse(void) {
    for (uint32_t i = 0; i < LENGTH(order); i++)
        order[i] = (uint32_t)LENGTH(order) - 1 - i;
    batches();
}

static void batch_random(void) {
    uint64_t random = 3;
    for (uint32_t i = 0; i < LENGTH(order); i++) {
        uint32_t other = next_random(&random) % (i + 1);
        order[i] = order[other];
        order[other] = i;
    }
    batches();
}

/*
 * The hand-off: one thread allocates, the other frees. A ring of batches lies between them: the producer fills
 * ring[sent % its length] and then raises sent (release), the consumer empties it and then raises received (release);
 * sent - received <= the ring's length. In batches, so that the allocator weighs more than the ring.
 */
static void *ring[16][256];
static atomic_size_t sent, received;

static void *consume(void *batches_to_come) {
    size_t end = *(const size_t *)batches_to_come;
    for (size_t n = 0; n < end; n++) {
        while (atomic_load_explicit(&sent, memory_order_acquire) == n)
            sched_yield();
        for (size_t i = 0; i < LENGTH(ring[0]); i++)
            free(ring[n % LENGTH(ring)][i]);
        atomic_store_explicit(&received, n + 1, memory_order_release);
    }
    return NULL;
}

static void hand_off(void) {
    pthread_t consumer;
    size_t end = scaled(30000);
    uint64_t random = 4;
    if (pthread_create(&consumer, NULL, consume, &end) != 0)
        die("pthread_create failed");
    for (size_t n = 0; n < end; n++) {
        while (n - atomic_load_explicit(&received, memory_order_acquire) == LENGTH(ring))
            sched_yield();
        for (size_t i = 0; i < LENGTH(ring[0]); i++)
            ring[n % LENGTH(ring)][i] = allocate(small_size(&random));
        atomic_store_explicit(&sent, n + 1, memory_order_release);
    }
    pthread_join(consumer, NULL);
}

/* Threads that come and go, two at a time; each frees what the one before it left, and leaves as much to the next. */
struct tenant {
    pthread_t thread;
    uint64_t random;
    void *left[100];
};

static void *dwell(void *argument) {
    struct tenant *tenant = argument;
    void *own[1000];
    for (size_t i = 0; i < LENGTH(own); i++)
        own[i] = allocate(small_size(&tenant->random));
    for (size_t i = 0; i < LENGTH(own); i++)
        free(own[i]);
    for (size_t i = 0; i < LENGTH(tenant->left); i++) {
        free(tenant->left[i]);
        tenant->left[i] = allocate(small_size(&tenant->random));
    }
    return NULL;
}

static void turnover(void) {
    static struct tenant tenants[2];
    for (size_t i = 0; i < LENGTH(tenants); i++)
        tenants[i].random = 5 + i;
    for (size_t left = scaled(5000); left > 0; left--) {
        for (size_t i = 0; i < LENGTH(tenants); i++)
            if (pthread_create(&tenants[i].thread, NULL, dwell, &tenants[i]) != 0)
                die("pthread_create failed");
        for (size_t i = 0; i < LENGTH(tenants); i++)
            pthread_join(tenants[i].thread, NULL);
    }
}

/* Sixteen large blocks, 64 KiB to 32 MiB, each doubling of the size as likely as any other; every page is written. */
static void large(void) {
    void *live[16] = {NULL};
    uint64_t random = 6;
    for (size_t left = scaled(1000); left > 0; left--) {
        void **slot = &live[next_random(&random) % LENGTH(live)];
        size_t size = (size_t)1 << (16 + next_random(&random) % 9);
        size += next_random(&random) % size;
        free(*slot);
        *slot = allocate(size);
        touch(*slot, 0, size);
    }
    for (size_t i = 0; i < LENGTH(live); i++)
        free(live[i]);
}

/* Blocks that grow in turn, by half of their size each time or by a fixed step, until the limit. */
static void grow(size_t step, size_t limit) {
    char *blocks[8] = {NULL};
    size_t old = 0;
    for (size_t size = 16; size <= limit; old = size, size += step > 0 ? step : size / 2)
        for (size_t i = 0; i < LENGTH(blocks); i++) {
            blocks[i] = realloc(blocks[i], size);
            if (blocks[i] == NULL)
                die("realloc failed");
            touch(blocks[i], old, size);
        }
    for (size_t i = 0; i < LENGTH(blocks); i++)
        free(blocks[i]);
}

static void growth(void) {
    for (size_t left = scaled(20); left > 0; left--) {
        grow(0, (size_t)16 << 20);
        for (int strings = 0; strings < 20; strings++)
            grow(32, 8192);
    }
}

static const struct {
    const char *name;
    void (*work)(void);
} workloads[] = {
    {"churn", churn},
    {"batch_in_order", batch_in_order},
    {"batch_reverse", batch_reverse},
    {"batch_random", batch_random},
    {"hand_off", hand_off},
    {"turnover", turnover},
    {"large", large},
    {"growth", growth},
};

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static long peak_rss_kib(void) {
    char line[256];
    long kib = -1;
    FILE *status = fopen("/proc/self/status", "r");
    while (kib < 0 && status != NULL && fgets(line, sizeof line, status) != NULL)
        if (strncmp(line, "VmHWM:", 6) == 0)
            kib = strtol(line + 6, NULL, 10);
    if (kib < 0)
        die("/proc/self/status tells no VmHWM");
    fclose(status);
    return kib;
}

int main(int argc, char **argv) {
    if (argc > 2)
        percent = strtoul(argv[2], NULL, 10);
    for (size_t i = 0; i < LENGTH(workloads); i++) {
        if (argc < 2) {
            puts(workloads[i].name);
        } else if (strcmp(argv[1], workloads[i].name) == 0) {
            double start = now();
            workloads[i].work();
            double seconds = now() - start;
            printf("workload=%s seconds=%.6f peak_rss_kib=%ld\n", argv[1], seconds, peak_rss_kib());
            return 0;
        }
    }
    if (argc > 1)
        die("no such workload");
    return 0;
}
