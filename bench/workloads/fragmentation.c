/*
 * fragmentation.c - a long-running program with phases that need blocks of different sizes. A phase grows to the full
 * amount with its own sizes, works for a while, frees blocks at random until a quarter of the memory is live, leaving
 * some of every age, and works on after a pause. In `phases` each block lives and dies by itself, the worst case for an
 * allocator; in `sessions` 16 that were allocated one after the other are also freed together.
 *
 * After each step it computes resident memory, less what was resident before the first block, relative to live bytes;
 * `samples` has both in KiB, in order of time. Each of several threads has its own blocks, and in the next phase those
 * of its neighbour.
 *
 * `survivors` has twelve phases, each with a size that no other phase uses. A phase frees its blocks except one in
 * every 60,000 bytes; those stay until the end and block their surroundings for other sizes. The ratios are computed at
 * each phase's full amount; rss_end_kib is measured after the last phase, when only the survivors are live.
 */
#include "workload.h"

#define FULL (64 * MIB)
#define LEAST (16 * MIB) /* whatever the percentage: below this, a single group counts for too much */

static const struct {
    uint32_t least, end;
} phases[] = {{16, 128}, {400, 1000}, {32, 64}, {2000, 8000}, {128, 512}, {16, 96}, {4000, 12000}, {64, 256}};

/* blocks[0] to blocks[count - 1], in no particular order; live is the sum of their sizes. */
struct population {
    void **blocks;
    size_t count, live;
};
static struct population populations[MAX_THREADS];

static pthread_barrier_t barrier;
static size_t start_kib, samples_taken;
static size_t ratios; /* of the samples that count: number, sum and worst */
static double sum, worst;

static size_t full;  /* the most live bytes, in all threads together */
static size_t group; /* blocks that are allocated together, adjacent in the table, and freed together */

static void add(struct population *population, size_t phase, uint64_t *random) {
    for (size_t i = 0; i < group; i++) {
        size_t size = size_between(random, phases[phase].least, phases[phase].end);
        population->blocks[population->count++] = allocate(size);
        population->live += size;
    }
}

/* The last group takes its place. */
static void remove_any(struct population *population, uint64_t *random) {
    void **victims = &population->blocks[next_random(random) % (population->count / group) * group];
    population->count -= group;
    for (size_t i = 0; i < group; i++) {
        population->live -= unstamp(victims[i]);
        free(victims[i]);
        victims[i] = population->blocks[population->count + i];
    }
}

/* Resident memory relative to live bytes; appends both to the samples. */
static double take_sample(size_t live) {
    size_t kib = rss_kib() - start_kib;
    report("%s%zu/%zu", samples_taken++ == 0 ? " samples=" : ",", kib, live / KIB);
    return (double)kib * (double)KIB / (double)live;
}

static void count_ratio(double ratio) {
    sum += ratio;
    worst = ratio > worst ? ratio : worst;
    ratios++;
}

/* Nobody works for this many seconds afterwards. */
static void sample(size_t index, double pause) {
    pthread_barrier_wait(&barrier);
    if (index == 0) {
        size_t live = 0;
        for (size_t i = 0; i < run.threads; i++) {
            live += populations[i].live;
        }
        count_ratio(take_sample(live));
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

/* Replaces half of the live bytes. */
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

static size_t at_least(size_t bytes) {
    return bytes > LEAST ? bytes : LEAST;
}

static void report_ratios(void) {
    report(" rss_over_live_mean=%.3f rss_over_live_worst=%.3f", sum / (double)ratios, worst);
}

static void live_long(void) {
    full = at_least(scaled(FULL));
    /* The program's own table is resident from the start, for the maximum number of blocks: 32 bytes each on
     * average. */
    size_t count = full / 32;
    void **table = resident_table(count);
    for (size_t i = 0; i < run.threads; i++) {
        populations[i].blocks = table + i * (count / run.threads);
    }
    pthread_barrier_init(&barrier, NULL, (unsigned)run.threads);
    start_kib = rss_kib();
    in_threads(live_through);
    report_ratios();
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

static const size_t survivor_sizes[] = {48, 80, 112, 160, 224, 320, 448, 640, 896, 1280, 1792, 2560};

/* One phase: blocks of one size, up to `bytes`, behind earlier survivors. Returns how many. */
static size_t survive(struct population *population, size_t size, size_t bytes) {
    size_t survivors = population->count;
    size_t count = bytes / size;
    for (size_t i = 0; i < count; i++) {
        population->blocks[population->count++] = allocate(size);
    }
    population->live += count * size;
    count_ratio(take_sample(population->live));
    population->count = survivors;
    for (size_t i = 0; i < count; i++) {
        void *block = population->blocks[survivors + i];
        if (i % (60000 / size) == 0) {
            population->blocks[population->count++] = block;
        } else {
            release(block);
            population->live -= size;
        }
    }
    take_sample(population->live);
    return count;
}

static void survivors(void) {
    static struct population population;
    size_t bytes = at_least(scaled(100 * MIB));
    population.blocks = resident_table(bytes / survivor_sizes[0] + LENGTH(survivor_sizes) * (bytes / 60000 * 2 + 1));
    start_kib = rss_kib();
    for (size_t phase = 0; phase < LENGTH(survivor_sizes); phase++) {
        count_operations(2 * survive(&population, survivor_sizes[phase], bytes));
        pause_seconds(0.2);
        slow_path();
    }
    pause_seconds(0.6);
    slow_path();
    report_ratios();
    report(" rss_start_kib=%zu rss_end_kib=%zu", start_kib, rss_kib());
    for (size_t i = 0; i < population.count; i++) {
        release(population.blocks[i]);
    }
}

static const struct variant variants[] = {{"phases", .whole = phases_of_blocks},
                                          {"sessions", .whole = phases_of_sessions},
                                          {"survivors", .whole = survivors, .threads = 1}};

int main(int argc, char **argv) {
    return workload_main(argc, argv, variants, LENGTH(variants));
}
