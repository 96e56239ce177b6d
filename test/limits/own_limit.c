/*
 * own_limit WAY as|data BYTES - a process that uses the heap, limits its own memory with the function WAY (setrlimit,
 * setrlimit64, prlimit, prlimit64, prlimit_pid, vfork), and continues: threads start, memory can be mapped, the heap
 * allocates most of what is allowed and no more, and what was freed can be mapped. With the WAY child, another process
 * limits it: the same, from the first thread that the system refuses. With the WAY untrimmed, it never calls
 * malloc_trim.
 *
 * By vfork, a child that shares the process's memory limits only itself: the process's address space is unchanged.
 */
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/check.h"

/* A heap that hangs must not outlive its test. */
#define WATCHDOG 900

#define MIB ((size_t)1 << 20)
#define STRIDE ((size_t)16 << 10)

/* The library, the C library, stacks. */
#define OTHERS (24 * MIB)

struct node {
    struct node *next;
};

static struct node *blocks;

static size_t address_space(void) {
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    CHECK(file != NULL && fscanf(file, "%lu", &pages) == 1);
    fclose(file);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

/* Writes to a block's both ends, and between them often enough to notice a part that is not there; not to each page,
 * which takes the kernel long. */
static void touch(unsigned char *block, size_t size) {
    for (size_t at = 0; at < size; at += STRIDE) {
        block[at] = 1;
    }
    block[size - 1] = 1;
}

/* Allocates blocks of `size` bytes until there are no more; returns how many bytes. */
static size_t take_all(size_t size, size_t most) {
    size_t total = 0;
    while (total < most) {
        errno = 0;
        struct node *block = malloc(size);
        if (block == NULL) {
            CHECK(errno == ENOMEM);
            break;
        }
        touch((unsigned char *)block, size);
        block->next = blocks;
        blocks = block;
        total += size;
    }
    return total;
}

static void free_all(void) {
    while (blocks != NULL) {
        struct node *next = blocks->next;
        free(blocks);
        blocks = next;
    }
}

static void *use_heap(void *unused) {
    (void)unused;
    for (size_t size = 1; size < MIB; size *= 3) {
        void *volatile block = malloc(size);
        CHECK(block != NULL);
        free(block);
    }
    return NULL;
}

static void start_threads(void) {
    pthread_t threads[3];
    for (int i = 0; i < 3; i++) {
        CHECK_EQUAL(pthread_create(&threads[i], NULL, use_heap, NULL), 0);
    }
    for (int i = 0; i < 3; i++) {
        CHECK_EQUAL(pthread_join(threads[i], NULL), 0);
    }
}

static void map_memory(size_t size) {
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(memory != MAP_FAILED);
    CHECK(munmap(memory, size) == 0);
}

static int set_limit(const char *way, int resource, size_t bytes) {
    struct rlimit limit;
    CHECK(getrlimit(resource, &limit) == 0);
    limit.rlim_cur = bytes;
#ifdef __GLIBC__
    struct rlimit64 limit64 = {.rlim_cur = bytes, .rlim_max = limit.rlim_max};
    if (strcmp(way, "setrlimit64") == 0) {
        return setrlimit64(resource, &limit64);
    }
    if (strcmp(way, "prlimit64") == 0) {
        return prlimit64(0, resource, &limit64, NULL);
    }
#endif
    if (strncmp(way, "prlimit", 7) == 0) {
        return prlimit(strcmp(way, "prlimit_pid") == 0 ? getpid() : 0, resource, &limit, NULL);
    }
    return setrlimit(resource, &limit);
}

static int set_from_child(int resource, size_t bytes) {
    struct rlimit limit;
    CHECK(getrlimit(resource, &limit) == 0);
    limit.rlim_cur = bytes;
    pid_t child = fork();
    if (child == 0) {
        _exit(prlimit(getppid(), resource, &limit, NULL) == 0 ? 0 : 1);
    }
    int status;
    CHECK(child > 0 && waitpid(child, &status, 0) == child);
    return status;
}

static void mistakes_are_errors(int resource) {
    struct rlimit limit;
    CHECK(getrlimit(resource, &limit) == 0);
    CHECK(prlimit(0, resource, NULL, &limit) == 0);
    limit.rlim_cur = 2;
    limit.rlim_max = 1;
    errno = 0;
    CHECK(setrlimit(resource, &limit) == -1 && errno == EINVAL);
    errno = 0;
    CHECK(prlimit(0, 1000, &limit, NULL) == -1 && errno == EINVAL);
}

/* Without malloc_trim: free memory that the heap still has leaves room for the rest of the process, too. Of a small
 * limit, only for threads. */
static void go_on_untrimmed(int resource, size_t bytes) {
    CHECK(set_limit("setrlimit", resource, bytes) == 0);
    static const size_t sizes[] = {100000, MIB, 10 * MIB};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        CHECK_AT_MOST(bytes / 2, take_all(sizes[i], SIZE_MAX) + OTHERS);
        free_all();
        start_threads();
        if (bytes > 200 * MIB) {
            map_memory(bytes / 2);
        }
    }
}

/* A limit below what the process has: the heap goes on with the memory that it has. */
static void go_on_below(int resource, size_t bytes) {
    take_all(1000, 8 * MIB);
    struct node *freed = blocks;
    blocks = NULL;
    take_all(MIB, 2 * bytes);
    blocks = freed;
    free_all();
    CHECK(set_limit("setrlimit", resource, bytes) == 0);
    CHECK(mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED);
    for (int i = 0; i < 3; i++) {
        CHECK_AT_MOST(6 * MIB, take_all(i % 2 == 0 ? 1000 : 20000, SIZE_MAX));
        free_all();
        malloc_trim(0);
        (void)mlockall(MCL_CURRENT); /* whether it succeeds or not */
    }
}

int main(int count, char **arguments) {
    alarm(WATCHDOG);
    CHECK(count == 4);
    const char *way = arguments[1];
    int resource = strcmp(arguments[2], "as") == 0 ? RLIMIT_AS : RLIMIT_DATA;
    size_t bytes = strtoul(arguments[3], NULL, 0);
    mistakes_are_errors(resource);
    take_all(1000, 8 * MIB);
    if (strcmp(way, "untrimmed") == 0) {
        go_on_untrimmed(resource, bytes);
        return 0;
    }
    if (strcmp(way, "below") == 0) {
        go_on_below(resource, bytes);
        return 0;
    }
    size_t before = address_space();
    if (strcmp(way, "vfork") == 0) {
        pid_t child = vfork();
        if (child == 0) {
            _exit(set_limit("setrlimit", resource, bytes) == 0 ? 0 : 1);
        }
        int status;
        CHECK(child > 0 && waitpid(child, &status, 0) == child && status == 0);
        CHECK_AT_MOST(before, address_space() + 8 * MIB);
        return 0;
    }
    CHECK((strcmp(way, "child") == 0 ? set_from_child(resource, bytes) : set_limit(way, resource, bytes)) == 0);
    static const size_t sizes[] = {100, 3000, 20000, MIB, 10 * MIB};
    /* For the other names of setrlimit two of the sizes will do: they lead to the same code. */
    const size_t step = strcmp(way, "setrlimit") == 0 || strcmp(way, "child") == 0 ? 1 : 3;
    for (size_t i = step / 2; i < sizeof sizes / sizeof *sizes; i += step) {
        start_threads();
        map_memory(bytes / 2);
        size_t total = take_all(sizes[i], SIZE_MAX);
        CHECK_AT_MOST(total, bytes);
        CHECK_AT_MOST(bytes - bytes / 4, total + OTHERS);
        free_all();
        malloc_trim(0);
    }
    start_threads();
    map_memory(bytes / 2);
    return 0;
}
