/*
 * Uses every part of the heap in several threads and gives all of it back, again and again: a program that must run to
 * its end although the kernel refuses it some system call.
 */
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BLOCKS 24
#define THREADS 3
#define ROUNDS 3

/* A heap that hangs must not outlive its test. */
#define WATCHDOG 100

static void require(int condition, const char *what) {
    if (!condition) {
        dprintf(STDERR_FILENO, "carry_on: failed: %s\n", what);
        _exit(1);
    }
}

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
    require(errno == EDOM, "free keeps errno");
}

static void *work(void *unused) {
    unsigned char *blocks[BLOCKS];
    (void)unused;
    for (size_t k = 0; k < BLOCKS; k++) {
        size_t size = size_of(k);
        blocks[k] = k % 2 == 0 ? malloc(size) : calloc(1, size);
        require(blocks[k] != NULL, "allocation");
        for (size_t i = 0; k % 2 == 1 && i < size; i += 61) {
            require(blocks[k][i] == 0, "calloc gives zeroes");
        }
        mark(blocks[k], size, k);
    }
    for (size_t k = 0; k < BLOCKS; k++) {
        size_t size = size_of(k) * (k % 3 + 1) / 2 + 1;
        require(blocks[k][0] == (unsigned char)k, "contents of a block");
        blocks[k] = realloc(blocks[k], size);
        require(blocks[k] != NULL && blocks[k][0] == (unsigned char)k, "realloc");
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
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < THREADS; i++) {
            require(pthread_create(&threads[i], NULL, work, NULL) == 0, "pthread_create");
        }
        work(NULL);
        for (int i = 0; i < THREADS; i++) {
            require(pthread_join(threads[i], NULL) == 0, "pthread_join");
        }
    }
    return 0;
}
