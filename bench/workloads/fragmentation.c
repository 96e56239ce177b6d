/*
 * fragmentation.c - a program that runs for long and goes through phases, in each of which it needs blocks of other
 * sizes. A phase grows to the full amount with blocks of its own sizes, works on for a while, frees blocks at random
 * until a quarter of the memory is live, which leaves some of every age behind, and after a pause works on again. In
 * `phases` each block lives and dies by itself, the worst that can befall an allocator; in `sessions` 16 that were
 * allocated one after the other are also freed together.
 *
 * Resident memory, less what was resident before the first block, over the bytes that are live is taken after each
 * step; `samples` has both in KiB, in the order of time. With several threads each has blocks of its own, and in the
 * next phase those of its neighbour.
 */
#include <sys/mman.h>

#include "workload.h"

#define FULL (64 * MIB)
#define LEAST (16 * MIB) /* whatever the percentage: where less is live, a single group counts for too much */

static const struct {
    uint32_t least, end;
} phases[] = {{16, 128}, {400, 1000}, {32, 64}, {2000, 8000}, {128, 512}, {16, 96}, {4000, 12000}, {64, 256}};

/* The blocks are blocks[0] to blocks[count - 1], in no order; live is the sum of their sizes. */
struct population {
    void **blocks;
    size_t count, live;
};
static struct population populations[MAX_THREADS];

static pthread_barrier_t barrier;
static size_t start_kib, samples;
static double sum, worst;

static size_t full;  /* bytes that are live at most, in all threads together */
static size_t group; /* how many blocks come, lie side by side in the table, and go together */

static void add(struct population *population, size_t phase, uint64_t *random) {
    for (size_t i = 0; i < group; i++) {
        size_t size = size_between(random, phases[phase].least, phases[phase].end);
        population->blocks[population->count++] = allocate(size);
        population->live += size;
    }
}

/* Frees any group; the last one takes its place. */
static void remove_any(struct population *population, uint64_t *random) {
    void **victims = &population->blocks[next_random(random) % (population->count / group) * group];
    population->count -= group;
    for (size_t i = 0; i < group; i++) {
        population->live -= unstamp(victims[i]);
        free(victims[i]);
        victims[i] = population->blocks[population->count + i];
    }
}

/* Then nobody works for so many seconds. */
static void sample(size_t index, double pause) {
    pthread_barrier_wait(&barrier);
    if (index == 0) {
        size_t live = 0;
        for (size_t i = 0; i < run.threads; i++) {
            live += populations[i].live;
        }
        size_t kib = rss_kib() - start_kib;
        double ratio = (double)kib * (double)KIB / (double)live;
        sum += ratio;
        worst = ratio > worst ? ratio : worst;
        report("%s%zu/%zu", samples++ == 0 ? " samples=" : ",", kib, live / KIB);
        pause_seconds(pause);
    }
    pthread_barrier_wait(&barrier);
}

/* Each returns the number of its calls. */
static size_t grow(struct population *population, size_t target, size_t phase, uint64_t *random) {
    size_t calls = 0;
    for (; population->live < target; calls += group) {
        add(population, phase, random);
    }
    return calls;
}

static size_t shrink(struct population *population, size_t target, uint64_t *random) {
    size_t calls = 0;
    for (; population->live > target; calls += group) {
        remove_any(population, random);
    }
    return calls;
}

/* Replaces as many bytes as half of those that are live. */
static size_t work_on(struct population *population, size_t phase, uint64_t *random) {
    size_t target = population->live;
    size_t calls = 0;
    for (size_t freed = 0; freed < target / 2; calls += group) {
        size_t before = population->live;
        remove_any(population, random);
        freed += before - population->live;
        calls += grow(population, target, phase, random);
    }
    return calls;
}

static void live_through(size_t index) {
    size_t target = full / run.threads;
    size_t calls = 0;
    uint64_t random = random_seed(index);
    for (size_t phase = 0; phase < LENGTH(phases); phase++) {
        struct population *population = &populations[(index + phase) % run.threads];
        calls += grow(population, target, phase, &random);
        sample(index, 0);
        calls += work_on(population, phase, &random);
        sample(index, 0);
        calls += shrink(population, target / 4, &random);
        sample(index, 0.2);
        calls += work_on(population, phase, &random);
        sample(index, 0);
    }
    count_operations(calls);
}

static void live_long(void) {
    full = scaled(FULL) > LEAST ? scaled(FULL) : LEAST;
    /* The program's own table is resident from the start, for all the blocks there can be: 32 bytes each on average. */
    size_t count = full / 32;
    void **table =
        mmap(NULL, count * sizeof *table, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (table == MAP_FAILED) {
        die("mmap failed");
    }
    for (size_t i = 0; i < run.threads; i++) {
        populations[i].blocks = table + i * (count / run.threads);
    }
    pthread_barrier_init(&barrier, NULL, (unsigned)run.threads);
    start_kib = rss_kib();
    in_threads(live_through);
    report(" rss_over_live_mean=%.3f rss_over_live_worst=%.3f", sum / (double)samples, worst);
    for (size_t i = 0; i < run.threads; i++) {
        for (size_t j = 0; j < populations[i].count; j++) {
            release(populations[i].blocks[j]);
        }
        count_operations(populations[i].count);
    }
    report(" rss_end_kib=%zu rss_start_kib=%zu", rss_kib(), start_kib);
}

static void phases_of_blocks(void) {
    group = 1;
    live_long();
}

static void phases_of_sessions(void) {
    group = 16;
    live_long();
}

static const struct variant variants[] = {{"phases", .whole = phases_of_blocks},
                                          {"sessions", .whole = phases_of_sessions}};

int main(int argc, char **argv) {
    return workload_main(argc, argv, variants, LENGTH(variants));
}
