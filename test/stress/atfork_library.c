/*
 * atfork_library.c - a library with its own fork handlers, which take a lock under which other threads allocate, and
 * allocate themselves. For preload_atfork.c.
 */
#include <pthread.h>
#include <stdlib.h>

void library_work(void);

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static void allocate(size_t size) {
    volatile char *block = malloc(size);
    if (block == NULL) {
        abort();
    }
    *block = 1;
    free((void *)block);
}

static void before(void) {
    pthread_mutex_lock(&mutex);
    allocate(200000);
}

static void after(void) {
    allocate(100);
    pthread_mutex_unlock(&mutex);
}

__attribute__((constructor)) static void begin(void) {
    pthread_atfork(before, after, after);
}

void library_work(void) {
    pthread_mutex_lock(&mutex);
    allocate(100000);
    pthread_mutex_unlock(&mutex);
}
