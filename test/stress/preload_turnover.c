/*
 * Short threads in a program whose C library shares the heap: it allocates a thread's structures in one thread and
 * frees them in another, or in the thread itself after its last destructor (as glibc does with strerror's text).
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TOTAL 30000
#define LIVE_THREADS 4
#define SLACK ((size_t)4 << 20)
#define WATCHDOG 120

static pthread_key_t key;

static void require(int condition, const char *what) {
    if (!condition) {
        dprintf(STDERR_FILENO, "preload_turnover: failed: %s\n", what);
        _exit(1);
    }
}

static void *live(void *number) {
    const char *text = strerror(100000 + (int)(intptr_t)number);
    char *copy = strdup(text);
    require(copy != NULL && strcmp(copy, text) == 0, "strdup");
    require(pthread_setspecific(key, copy) == 0, "pthread_setspecific");
    return calloc(1, 40);
}

static size_t resident(void) {
    unsigned long size = 0, pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    require(file != NULL && fscanf(file, "%lu %lu", &size, &pages) == 2, "/proc/self/statm");
    fclose(file);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

int main(void) {
    pthread_t threads[LIVE_THREADS];
    size_t early = 0;
    alarm(WATCHDOG);
    require(pthread_key_create(&key, free) == 0, "pthread_key_create");
    for (intptr_t i = 0; i < TOTAL + LIVE_THREADS; i++) {
        pthread_t *thread = &threads[i % LIVE_THREADS];
        if (i >= LIVE_THREADS) {
            void *block;
            require(pthread_join(*thread, &block) == 0 && block != NULL, "pthread_join");
            free(block);
        }
        if (i < TOTAL) {
            require(pthread_create(thread, NULL, live, (void *)i) == 0, "pthread_create");
        }
        if (i == TOTAL / 10) {
            early = resident();
        }
    }
    size_t late = resident();
    if (late > early + SLACK) {
        dprintf(STDERR_FILENO, "resident: %zu bytes after a tenth of the threads, %zu at the end\n", early, late);
    }
    require(late <= early + SLACK, "resident memory stays flat");
    return 0;
}
