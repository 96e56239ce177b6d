/*
 * kept.c SIZE... - frees a block of each size in turn, many times, in two threads: what is kept of freed blocks is
 * given back before an allocation fails. A fresh size each time, so that nothing fits what is kept.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define ROUNDS 60u

static size_t size;

static void *allocate_and_free(void *unused) {
    (void)unused;
    for (unsigned i = 0; i < ROUNDS; i++) {
        char *volatile block = malloc(size + i * 70000u);
        if (block == NULL) {
            fprintf(stderr, "no block of %zu bytes in round %u\n", size + i * 70000u, i);
            exit(1);
        }
        block[0] = 1;
        free(block);
    }
    return NULL;
}

int main(int count, char **arguments) {
    for (int i = 1; i < count; i++) {
        pthread_t thread;
        size = strtoul(arguments[i], NULL, 10);
        allocate_and_free(NULL);
        if (pthread_create(&thread, NULL, allocate_and_free, NULL) != 0) {
            return 2;
        }
        pthread_join(thread, NULL);
        allocate_and_free(NULL);
    }
    return 0;
}
