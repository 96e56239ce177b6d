/*
 * bench_hmm.c - sits between a single-threaded program and its malloc, and measures each call. bench/hmm preloads it
 * before the allocator to be measured.
 *
 * BENCH_REPORT names the file for its results. It measures one of two things, because each would disturb the other:
 *
 *   BENCH_MEASURE=time    how long each call took. The file keeps, for each call in order, the minimum of all runs
 *                         that used this file, because random delays do not occur in every run.
 *   BENCH_MEASURE=size    the most bytes that were live, as malloc_usable_size counts them; and the most that the
 *                         allocator held for them, by its own mallinfo2, which is called again and again.
 *
 * Calls before the program's constructors do not count, nor do its child processes'.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define CALLS_MAX ((size_t)1 << 28)
#define ASK_EACH 8192  /* calls; and */
#define ASK_GROWTH 128 /* whenever the live bytes have grown by 1/ASK_GROWTH */

static struct report {
    uint64_t calls;
    uint64_t live;    /* maximum, in bytes */
    uint64_t held;    /* maximum, in bytes */
    uint32_t nanos[]; /* 0: not yet known */
} *report;
static bool timing, sizing;
static size_t live, asked_at;

static struct {
    void *(*malloc)(size_t);
    void *(*calloc)(size_t, size_t);
    void *(*realloc)(void *, size_t);
    void (*free)(void *);
} next;

static _Noreturn void die(const char *what) {
    perror(what);
    abort();
}

/* The loader may allocate before any constructor has run. */
static void find_next(void) {
    *(void **)&next.malloc = dlsym(RTLD_NEXT, "malloc");
    *(void **)&next.calloc = dlsym(RTLD_NEXT, "calloc");
    *(void **)&next.realloc = dlsym(RTLD_NEXT, "realloc");
    *(void **)&next.free = dlsym(RTLD_NEXT, "free");
}

__attribute__((constructor)) static void begin_report(void) {
    const char *path = getenv("BENCH_REPORT");
    const char *measure = getenv("BENCH_MEASURE");
    if (path == NULL || measure == NULL) {
        return;
    }
    size_t size = sizeof *report + CALLS_MAX * sizeof *report->nanos; /* only what is written takes space in the file */
    int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0 || ftruncate(file, (off_t)size) != 0) {
        die(path);
    }
    void *start = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, file, 0);
    if (start == MAP_FAILED) {
        die(path);
    }
    close(file);
    unsetenv("BENCH_REPORT");
    timing = strcmp(measure, "time") == 0;
    sizing = !timing;
    report = start;
    report->calls = 0;
}

static uint64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static uint64_t begin_call(void) {
    if (next.malloc == NULL) {
        find_next();
    }
    return timing ? now() : 0;
}

static void end_call(uint64_t start) {
    if (timing) {
        uint64_t took = now() - start;
        uint32_t *least = &report->nanos[report->calls];
        *least = *least == 0 || took < *least ? (uint32_t)(took < UINT32_MAX ? took : UINT32_MAX) : *least;
        if (++report->calls == CALLS_MAX) {
            die("bench_hmm: too many calls");
        }
    }
}

static void ask(void) {
    struct mallinfo2 info = mallinfo2();
    uint64_t held = info.arena + info.hblkhd;
    report->held = held > report->held ? held : report->held;
    asked_at = live;
}

static void gained(void *block) {
    if (sizing) {
        live += malloc_usable_size(block);
        report->live = live > report->live ? live : report->live;
        if (++report->calls % ASK_EACH == 0 || (live == report->live && live > asked_at + asked_at / ASK_GROWTH)) {
            ask();
        }
    }
}

static void lost(void *block) {
    if (sizing) {
        size_t size = malloc_usable_size(block);
        live -= size < live ? size : live; /* it may date from before the constructor */
    }
}

void *malloc(size_t size) {
    uint64_t start = begin_call();
    void *block = next.malloc(size);
    end_call(start);
    gained(block);
    return block;
}

void *calloc(size_t count, size_t size) {
    uint64_t start = begin_call();
    void *block = next.calloc(count, size);
    end_call(start);
    gained(block);
    return block;
}

void *realloc(void *block, size_t size) {
    lost(block);
    uint64_t start = begin_call();
    void *moved = next.realloc(block, size);
    end_call(start);
    gained(moved);
    return moved;
}

void free(void *block) {
    lost(block);
    uint64_t start = begin_call();
    next.free(block);
    end_call(start);
}
