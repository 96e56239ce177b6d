/*
 * Uses every part of the heap, in two threads, beside a preloaded library that allocates in the C library's system call
 * functions (interposer.c); the heap must call none of these. Then calls some of them itself, as threads do while
 * others are in the heap.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "support/check.h"

extern _Atomic unsigned long interposed_calls __attribute__((weak));

/* A heap that hangs must not outlive its test. */
#define WATCHDOG 900

#define BLOCKS 2000
#define MIB ((size_t)1 << 20)

static size_t size_of(size_t k, size_t round) {
    return 1 + (k * 7919 + round * 31) % (k % 20 == 0 ? 400000 : 3000);
}

static void use_heap(void) {
    unsigned char *blocks[BLOCKS];
    for (size_t round = 0; round < 3; round++) {
        for (size_t k = 0; k < BLOCKS; k++) {
            size_t size = size_of(k, round);
            blocks[k] = k % 3 == 0 ? calloc(1, size) : malloc(size);
            CHECK(blocks[k] != NULL);
            memset(blocks[k], (int)round + 1, size);
        }
        unsigned char *large = malloc(MIB);
        for (size_t size = 2 * MIB; large != NULL && size <= 160 * MIB; size *= 2) {
            unsigned char *behind = malloc(MIB);
            large = realloc(large, size);
            CHECK(large != NULL && behind != NULL);
            memset(large, 1, MIB);
            free(behind);
        }
        free(large);
        for (size_t k = 0; k < BLOCKS; k++) {
            CHECK(blocks[k][0] == round + 1);
            free(blocks[k]);
        }
    }
}

static void call_both(void) {
    for (size_t i = 0; i < 2000; i++) {
        void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        CHECK(page != MAP_FAILED && munmap(page, 4096) == 0);
        free(malloc(size_of(i, 0)));
    }
    use_heap();
}

/* Between the first two barriers both threads call only the heap. */
static pthread_barrier_t meeting;

static void meet(void) {
    pthread_barrier_wait(&meeting);
}

static void *work(void *unused) {
    (void)unused;
    meet();
    use_heap();
    meet();
    meet();
    call_both();
    return NULL;
}

int main(void) {
    alarm(WATCHDOG);
    CHECK(&interposed_calls != NULL);
    pthread_t thread;
    pthread_barrier_init(&meeting, NULL, 2);
    CHECK(pthread_create(&thread, NULL, work, NULL) == 0);
    unsigned long before = atomic_load(&interposed_calls);
    CHECK(close(-1) != 0 && atomic_load(&interposed_calls) == before + 1);
    before = atomic_load(&interposed_calls);
    meet();
    use_heap();
    meet();
    CHECK(atomic_load(&interposed_calls) == before);
    meet();
    call_both();
    CHECK(pthread_join(thread, NULL) == 0);
    return 0;
}
