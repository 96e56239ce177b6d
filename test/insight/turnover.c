/*
 * turnover.c - a program whose threads keep starting and ending, free each other's blocks, and allocate large and
 * sampled ones in between. It prints "nothing" once it runs.
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define SHARED 4096

static _Atomic(void *) shared[SHARED];

/* Each thread leaves blocks to others, and takes theirs. */
static void *live_briefly(void *arg) {
    unsigned seed = (unsigned)(uintptr_t)arg * 2654435761u;
    for (int i = 0; i < 300; i++) {
        seed = seed * 1103515245 + 12345;
        void *block = malloc(seed >> 8 & 1023);
        free(__atomic_exchange_n((void **)&shared[seed >> 18 & (SHARED - 1)], block, __ATOMIC_ACQ_REL));
    }
    free(malloc((size_t)(seed >> 12 & 255) << 10));
    return NULL;
}

static void *start_others(void *arg) {
    for (uintptr_t round = (uintptr_t)arg;; round += 7) {
        pthread_t threads[3];
        for (uintptr_t i = 0; i < 3; i++) {
            pthread_create(&threads[i], NULL, live_briefly, (void *)(round + i));
        }
        for (unsigned i = 0; i < 3; i++) {
            pthread_join(threads[i], NULL);
        }
    }
    return NULL;
}

int main(void) {
    pthread_t thread;
    pthread_create(&thread, NULL, start_others, (void *)(uintptr_t)1000000007);
    puts("nothing 0x10");
    fflush(stdout);
    start_others(NULL);
    return 0;
}
