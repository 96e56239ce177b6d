/*
 * workload.h - for the workload programs: random numbers, blocks that notice overlaps, threads, clocks, the command
 * line and the report.
 *
 * A program is a family of variants of one theme, each a fixed amount of work for whatever malloc it has:
 *
 *   NAME                                         lists the variants, and which of them take --threads
 *   NAME VARIANT [--threads N] [--percent P]     does P percent of the work, divided among N threads
 *
 * and then prints one line: the time, the number of calls of malloc, realloc and free, and the peak of resident memory.
 * All random numbers come from fixed seeds, so every allocator sees the same requests.
 */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define LENGTH(array) (sizeof(array) / sizeof *(array))
#define PAGE ((size_t)4096)
#define KIB ((size_t)1024)
#define MIB (1024 * KIB)
#define MAX_THREADS 256
#define CACHE_LINE 64

struct variant {
    const char *name;
    void (*each)(size_t index); /* what each thread does; or */
    void (*whole)(void);        /* everything, if threads differ */
    size_t threads;             /* how many threads it always has; 0: --threads */
};

static struct {
    size_t threads, percent;
    atomic_size_t operations;
    double untimed;    /* seconds without work: waiting, measuring */
    char fields[8192]; /* the variant's own report */
} run = {.percent = 100};

static inline _Noreturn void die(const char *what) {
    fprintf(stderr, "%s: %s\n", program_invocation_short_name, what);
    exit(1);
}

/* Of the fixed amount of work; and thread `index`'s share. */
static inline size_t scaled(size_t count) {
    size_t result = count * run.percent / 100;
    return result > 0 ? result : 1;
}

static inline size_t share(size_t count, size_t index) {
    size_t all = scaled(count);
    return all / run.threads + (index < all % run.threads);
}

/* An initial state, different for each number. */
static inline uint64_t random_seed(size_t number) {
    return (number + 1) * 0x9E3779B97F4A7C15;
}

/* xorshift64*: a few instructions, so that the allocator dominates. */
static inline uint32_t next_random(uint64_t *state) {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return (uint32_t)(*state * 0x2545F4914F6CDD1D >> 32);
}

/* least <= size < end, all equally likely. */
static inline size_t size_between(uint64_t *random, size_t least, size_t end) {
    return least + next_random(random) % (end - least);
}

static inline size_t small_size(uint64_t *random) {
    return size_between(random, 16, 256);
}

/* Each doubling is half as likely as the previous one, up to 32 KiB: all contribute equally many bytes. */
static inline size_t tail_size(uint64_t *random) {
    size_t least = (size_t)16 << __builtin_ctz(next_random(random) | 1U << 10);
    return size_between(random, least, 2 * least);
}

/* Blocks of 16 bytes and more. The first word and the last byte are written, as a program would write its block, with a
 * number made from size and address, and checked before the free: this detects another block written over either. Then
 * the first word is spoilt, which detects a block with two users. */
static inline void *stamp(void *block, size_t size) {
    uint64_t word = (uintptr_t)block + size;
    *(uint64_t *)block = word;
    ((unsigned char *)block)[size - 1] = (unsigned char)(word >> 4);
    return block;
}

/* Returns the block's size; then it must be freed. */
static inline size_t unstamp(void *block) {
    uint64_t word = *(uint64_t *)block;
    size_t size = word - (uintptr_t)block;
    if (size > 1024 * MIB || ((unsigned char *)block)[size - 1] != (unsigned char)(word >> 4)) {
        die("a block was overwritten");
    }
    *(uint64_t *)block = 0;
    return size;
}

static inline void *allocate(size_t size) {
    void *block = malloc(size);
    if (block == NULL) {
        die("malloc failed");
    }
    return stamp(block, size);
}

static inline void release(void *block) {
    unstamp(block);
    free(block);
}

/* For blocks that grow: a byte on each page and the last one are written with values that depend on their place. */
static inline char byte_at(size_t at, size_t tag) {
    return (char)(tag + at / CACHE_LINE);
}

static inline void fill_pages(char *block, size_t from, size_t size, size_t tag) {
    for (size_t at = (from + PAGE - 1) / PAGE * PAGE; at < size; at += PAGE) {
        block[at] = byte_at(at, tag);
    }
    block[size - 1] = byte_at(size - 1, tag);
}

static inline void check_pages(const char *block, size_t size, size_t tag) {
    bool good = block[size - 1] == byte_at(size - 1, tag);
    for (size_t at = 0; at < size; at += PAGE) {
        good &= block[at] == byte_at(at, tag);
    }
    if (!good) {
        die("a block was overwritten");
    }
}

/* A program's table of pointers. It comes from the system and is resident from the start, so memory that becomes
 * resident later is the allocator's. */
static inline void **resident_table(size_t count) {
    void **table =
        mmap(NULL, count * sizeof *table, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (table == MAP_FAILED) {
        die("mmap failed");
    }
    return table;
}

/* Each thread reports its calls at its end. */
static inline void count_operations(size_t count) {
    atomic_fetch_add_explicit(&run.operations, count, memory_order_relaxed);
}

static inline pthread_t start_thread(void *(*body)(void *), void *argument) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, body, argument) != 0) {
        die("pthread_create failed");
    }
    return thread;
}

struct task {
    pthread_t thread;
    void (*work)(size_t index);
    size_t index;
};

static inline void *do_task(void *argument) {
    const struct task *task = argument;
    task->work(task->index);
    return NULL;
}

/* Runs work(0) to work(run.threads - 1), each in its own thread; a single one in the program's first thread. */
static inline void in_threads(void (*work)(size_t index)) {
    static struct task tasks[MAX_THREADS];
    if (run.threads == 1) {
        work(0);
        return;
    }
    for (size_t i = 0; i < run.threads; i++) {
        tasks[i].work = work;
        tasks[i].index = i;
        tasks[i].thread = start_thread(do_task, &tasks[i]);
    }
    for (size_t i = 0; i < run.threads; i++) {
        pthread_join(tasks[i].thread, NULL);
    }
}

static inline double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static inline void pause_seconds(double seconds) {
    double start = now();
    long ns = (long)(seconds * 1e9);
    nanosleep(&(struct timespec){.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000}, NULL);
    run.untimed += now() - start;
}

/* The number behind `key` in a file of /proc; without stdio, which would allocate. */
static inline size_t proc_kib(const char *path, const char *key) {
    char text[4096];
    int file = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = file >= 0 ? read(file, text, sizeof text - 1) : 0;
    text[length > 0 ? length : 0] = '\0';
    const char *found = strstr(text, key);
    if (found == NULL) {
        die("/proc does not tell how much memory is resident");
    }
    close(file);
    return strtoul(found + strlen(key), NULL, 10);
}

static inline size_t peak_rss_kib(void) {
    return proc_kib("/proc/self/status", "VmHWM:");
}

/* From the page tables: exact, whereas the counters in /proc/self/status may lag behind. */
static inline size_t rss_kib(void) {
    double start = now();
    size_t kib = proc_kib("/proc/self/smaps_rollup", "Rss:");
    run.untimed += now() - start;
    return kib;
}

/* Sizes that no cache serves take an allocator's slow path. */
static inline void slow_path(void) {
    static const size_t sizes[] = {300, 700, 1500, 3000, 6000, 12000, 40000, 100000};
    void *blocks[LENGTH(sizes)];
    for (size_t i = 0; i < LENGTH(sizes); i++) {
        blocks[i] = allocate(sizes[i]);
    }
    for (size_t i = 0; i < LENGTH(sizes); i++) {
        release(blocks[i]);
    }
    count_operations(2 * LENGTH(sizes));
}

/* Each field begins with a space. */
__attribute__((format(printf, 1, 2))) static inline void report(const char *format, ...) {
    size_t length = strlen(run.fields);
    va_list arguments;
    va_start(arguments, format);
    int written = vsnprintf(run.fields + length, sizeof run.fields - length, format, arguments);
    va_end(arguments);
    if (written < 0 || (size_t)written >= sizeof run.fields - length) {
        die("the report is too long");
    }
}

static inline void read_arguments(int argc, char **argv, const struct variant *variant) {
    for (int i = 2; i < argc; i += 2) {
        size_t *number = strcmp(argv[i], "--percent") == 0                            ? &run.percent
                         : strcmp(argv[i], "--threads") == 0 && variant->threads == 0 ? &run.threads
                                                                                      : NULL;
        if (number == NULL || i + 1 == argc || (*number = strtoul(argv[i + 1], NULL, 10)) == 0) {
            die("want VARIANT [--threads N] [--percent P]; without arguments it says which variants take threads");
        }
    }
    if (run.threads > MAX_THREADS) {
        die("too many threads");
    }
}

static inline void do_variant(const struct variant *variant) {
    double start = now();
    if (variant->each != NULL) {
        in_threads(variant->each);
    } else {
        variant->whole();
    }
    double seconds = now() - start - run.untimed;
    printf("workload=%s/%s threads=%zu seconds=%.6f operations=%zu peak_rss_kib=%zu%s\n", program_invocation_short_name,
           variant->name, run.threads, seconds, atomic_load(&run.operations), peak_rss_kib(), run.fields);
}

static inline int workload_main(int argc, char **argv, const struct variant *variants, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const struct variant *variant = &variants[i];
        if (argc == 1) {
            printf("%s%s\n", variant->name, variant->threads == 0 ? " threads" : "");
        } else if (strcmp(argv[1], variant->name) == 0) {
            run.threads = variant->threads > 0 ? variant->threads : 1;
            read_arguments(argc, argv, variant);
            do_variant(variant);
            return 0;
        }
    }
    if (argc > 1) {
        die("no such variant");
    }
    return 0;
}
