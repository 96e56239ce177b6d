/*
 * Short threads in a program whose C library shares the heap: it allocates a thread's structures in one thread and
 * frees them in another, or in the thread itself after its last destructor (as glibc does with strerror's text).
 */
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/check.h"
#include "support/kernel.h"

#define TOTAL 30000
#define LIVE_THREADS 4
#define SLACK ((size_t)4 << 20)
#define WATCHDOG 900

static pthread_key_t key;

static void *live(void *number) {
    const char *text = strerror(100000 + (int)(intptr_t)number);
    char *copy = strdup(text);
    CHECK(copy != NULL && strcmp(copy, text) == 0);
    CHECK(pthread_setspecific(key, copy) == 0);
    return calloc(1, 40);
}

int main(void) {
    pthread_t threads[LIVE_THREADS];
    size_t early = 0;
    alarm(WATCHDOG);
    CHECK(pthread_key_create(&key, free) == 0);
    for (intptr_t i = 0; i < TOTAL + LIVE_THREADS; i++) {
        pthread_t *thread = &threads[i % LIVE_THREADS];
        if (i >= LIVE_THREADS) {
            void *block;
            CHECK(pthread_join(*thread, &block) == 0 && block != NULL);
            free(block);
        }
        if (i < TOTAL) {
            CHECK(pthread_create(thread, NULL, live, (void *)i) == 0);
        }
        if (i == TOTAL / 10) {
            early = resident_bytes();
        }
    }
    CHECK_AT_MOST(resident_bytes(), early + SLACK);
    return 0;
}
