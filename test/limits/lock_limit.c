/*
 * lock_limit FLAGS BYTES - an unprivileged process that has used and freed much and may lock BYTES of memory:
 * mlockall(FLAGS) succeeds and locks no more than that, threads start, and the heap allocates and frees memory, locked
 * or not.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "support/check.h"

/* A heap that hangs must not outlive its test. */
#define WATCHDOG 900

#define NOBODY 65534
#define MIB ((size_t)1 << 20)
enum { BLOCKS = 200 };

static void *blocks[BLOCKS];

static size_t take(size_t size, size_t count) {
    size_t taken = 0;
    while (taken < count && (blocks[taken] = malloc(size)) != NULL) {
        memset(blocks[taken++], 1, size);
    }
    return taken;
}

static void give(size_t count) {
    while (count-- > 0) {
        free(blocks[count]);
    }
}

static void *use_heap(void *unused) {
    (void)unused;
    free(malloc(1000));
    return NULL;
}

/* In KiB; 0 if the kernel does not say. */
static size_t locked_memory(void) {
    char line[256];
    unsigned long locked = 0;
    FILE *file = fopen("/proc/self/status", "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL && sscanf(line, "VmLck: %lu", &locked) != 1) {
    }
    if (file != NULL) {
        fclose(file);
    }
    return locked;
}

/* Blocks that end within a unit of the heap lock no more than their pages, once the memory that was locked and free
 * before is used up. */
static void check_odd_blocks(int flags) {
    enum { SIZE = 100000, SPAN = 20 };
    size_t locked[BLOCKS + 1] = {locked_memory()};
    size_t taken = 0;
    size_t most = 0;
    while (taken < BLOCKS && (blocks[taken] = malloc(SIZE)) != NULL) {
        locked[++taken] = locked_memory();
        if (taken >= SPAN && locked[taken] > locked[taken - SPAN] + most) {
            most = locked[taken] - locked[taken - SPAN];
        }
    }
    CHECK((flags & MCL_FUTURE) == 0 || most <= SPAN * SIZE / 1024 * 11 / 10);
    give(taken);
}

int main(int count, char **arguments) {
    alarm(WATCHDOG);
    CHECK(count == 3);
    int flags = atoi(arguments[1]);
    size_t bytes = strtoul(arguments[2], NULL, 0);
    struct rlimit limit = {.rlim_cur = bytes, .rlim_max = bytes};
    errno = 0;
    CHECK(mlockall(1 << 20) == -1 && errno == EINVAL);
    give(take(MIB, BLOCKS));
    if (setrlimit(RLIMIT_MEMLOCK, &limit) != 0 || (geteuid() == 0 && setuid(NOBODY) != 0)) {
        return 77;
    }
    if (mlockall(flags) != 0) {
        CHECK(errno == EPERM);
        return 77;
    }
    pthread_attr_t small_stack;
    CHECK(pthread_attr_init(&small_stack) == 0 && pthread_attr_setstacksize(&small_stack, MIB / 4) == 0);
    for (int round = 0; round < 5; round++) {
        size_t blocks_taken = take(MIB / 16, 30);
        CHECK_EQUAL(blocks_taken, 30);
        pthread_t thread;
        CHECK_EQUAL(pthread_create(&thread, &small_stack, use_heap, NULL), 0);
        CHECK_EQUAL(pthread_join(thread, NULL), 0);
        give(blocks_taken);
        CHECK_AT_MOST(locked_memory(), bytes / 1024);
    }
    check_odd_blocks(flags);
    size_t all = take(MIB, BLOCKS);
    CHECK(all == BLOCKS || (flags & MCL_FUTURE) != 0);
    CHECK_AT_MOST(locked_memory(), bytes / 1024);
    give(all);
    free(malloc(100));
    return 0;
}
