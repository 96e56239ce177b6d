/*
 * Uses every part of the heap in several threads and frees everything, again and again. It must run to its end although
 * the kernel refuses some system call.
 */
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include "support/check.h"

#define BLOCKS 24
#define THREADS 3
#define ROUNDS 3

/* A heap that hangs must not outlive its test. */
#define WATCHDOG 900

static size_t size_of(size_t k) {
    static const size_t sizes[] = {1, 100, 5000, 30000, 70000, 500000, 3000000, 70000000};
    return sizes[k % (sizeof sizes / sizeof sizes[0])] + k;
}

static void mark(unsigned char *memory, size_t size, size_t k) {
    memory[0] = (unsigned char)k;
    memory[size - 1] = (unsigned char)k;
}

static void release(unsigned char *memory) {
    errno = EDOM;
    free(memory);
    CHECK(errno == EDOM);
}

/* `reads` is the most of a zero block that it reads. */
static void *work(void *reads) {
    unsigned char *blocks[BLOCKS];
    const size_t read_max = *(const size_t *)reads;
    for (size_t k = 0; k < BLOCKS; k++) {
        size_t size = size_of(k);
        blocks[k] = k % 2 == 0 ? malloc(size) : calloc(1, size);
        CHECK(blocks[k] != NULL);
        for (size_t i = 0; k % 2 == 1 && i < size && i < read_max; i += 61) {
            CHECK(blocks[k][i] == 0);
        }
        mark(blocks[k], size, k);
    }
    for (size_t k = 0; k < BLOCKS; k++) {
        size_t size = size_of(k) * (k % 3 + 1) / 2 + 1;
        CHECK(blocks[k][0] == (unsigned char)k);
        blocks[k] = realloc(blocks[k], size);
        CHECK(blocks[k] != NULL && blocks[k][0] == (unsigned char)k);
        mark(blocks[k], size, k);
        if (k % 2 == 0) {
            release(blocks[k]);
            blocks[k] = NULL;
        }
    }
#ifdef __GLIBC__
    malloc_trim(0);
#endif
    for (size_t k = 0; k < BLOCKS; k++) {
        release(blocks[k]);
    }
    return NULL;
}

int main(void) {
    alarm(WATCHDOG);
    pthread_t threads[THREADS];
    size_t all = SIZE_MAX, without_huge = 4000000; /* of huge blocks one thread reads each page */
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < THREADS; i++) {
            CHECK(pthread_create(&threads[i], NULL, work, &without_huge) == 0);
        }
        work(&all);
        for (int i = 0; i < THREADS; i++) {
            CHECK(pthread_join(threads[i], NULL) == 0);
        }
    }
    return 0;
}
