/*
 * latency.c - the time of single calls of malloc and free, especially the slowest: a table of blocks, replaced at
 * random, with each call timed. Every figure includes the cost of reading the clock.
 */
#include "workload.h"

/* A tick that is cheap to read; the run determines its length. */
static inline uint64_t ticks(void) {
#if defined __x86_64__
    __builtin_ia32_lfence(); /* the clock is read neither before the call is over, nor after the next has begun */
    uint64_t result = __builtin_ia32_rdtsc();
    __builtin_ia32_lfence();
    return result;
#elif defined __aarch64__
    uint64_t result;
    __asm__ volatile("isb\n\tmrs %0, cntvct_el0\n\tisb" : "=r"(result) : : "memory");
    return result;
#else
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
#endif
}

/* Logarithmic: 32 buckets per doubling, so figures are exact to 3 %. Each number up to 64 has its own bucket; beyond,
 * bucket = 32 * shift + (the number >> shift), which is its upper 6 bits; shift is at most 58. */
struct histogram {
    uint64_t buckets[1920];
    uint64_t worst;
};
static struct histogram histograms[MAX_THREADS];

static void record(struct histogram *histogram, uint64_t time) {
    uint64_t shift = time < 64 ? 0 : 58 - (uint64_t)__builtin_clzll(time);
    histogram->buckets[32 * shift + (time >> shift)]++;
    if (time > histogram->worst) {
        histogram->worst = time;
    }
}

/* This share of all calls took less. */
static uint64_t percentile(const struct histogram *histogram, double part) {
    uint64_t total = 0;
    for (size_t i = 0; i < LENGTH(histogram->buckets); i++) {
        total += histogram->buckets[i];
    }
    uint64_t below = 0;
    size_t bucket = 0;
    while ((double)below < part * (double)total) {
        below += histogram->buckets[bucket++];
    }
    uint64_t shift = bucket < 64 ? 0 : bucket / 32 - 1;
    return (bucket - 32 * shift) << shift;
}

static void replace(size_t index) {
    static _Thread_local void *live[4096];
    struct histogram *histogram = &histograms[index];
    uint64_t random = random_seed(index);
    size_t steps = share(6000000, index);
    for (size_t left = steps; left > 0; left--) {
        void **slot = &live[next_random(&random) % LENGTH(live)];
        if (*slot != NULL) {
            unstamp(*slot);
            uint64_t start = ticks();
            free(*slot);
            record(histogram, ticks() - start);
        }
        size_t size = tail_size(&random);
        uint64_t start = ticks();
        *slot = malloc(size);
        record(histogram, ticks() - start);
        if (*slot == NULL) {
            die("malloc failed");
        }
        stamp(*slot, size);
    }
    for (size_t i = 0; i < LENGTH(live); i++) {
        free(live[i]);
    }
    count_operations(2 * steps);
}

static void mixed(void) {
    double start = now();
    uint64_t start_ticks = ticks();
    in_threads(replace);
    double ns = (now() - start) * 1e9 / (double)(ticks() - start_ticks);

    struct histogram *all = &histograms[0];
    for (size_t i = 1; i < run.threads; i++) {
        for (size_t j = 0; j < LENGTH(all->buckets); j++) {
            all->buckets[j] += histograms[i].buckets[j];
        }
        all->worst = histograms[i].worst > all->worst ? histograms[i].worst : all->worst;
    }
    report(" p50_ns=%.1f p99_ns=%.1f p999_ns=%.1f p9999_ns=%.1f worst_ns=%.0f", ns * (double)percentile(all, 0.5),
           ns * (double)percentile(all, 0.99), ns * (double)percentile(all, 0.999),
           ns * (double)percentile(all, 0.9999), ns * (double)all->worst);
}

static const struct variant variants[] = {{"mixed", .whole = mixed}};

int main(int argc, char **argv) {
    return workload_main(argc, argv, variants, LENGTH(variants));
}
