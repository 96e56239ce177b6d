/*
 * shapes.c - a program with one thread left, whose heap has everything that a heap can have: free spans that are dirty
 * or read as zero, stored magazines, slabs that age, are abandoned, or have blocks freed by another thread. It prints
 * "nothing" and waits.
 */
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LARGE 64
#define SMALL 60000

static void *large[LARGE];
static void *small[SMALL];

static void take_large(void) {
    for (size_t i = 0; i < LARGE; i++) {
        large[i] = malloc((size_t)400 << 10);
        memset(large[i], 1, (size_t)400 << 10);
    }
}

/* Leaves abandoned slabs, and frees blocks of main's. */
static void *leave(void *unused) {
    (void)unused;
    for (size_t i = 0; i < 3000; i++) {
        free(i % 3 == 0 ? malloc(700) : small[10 * i]);
        small[10 * i] = i % 3 == 1 ? malloc(700) : NULL;
    }
    return NULL;
}

int main(void) {
    static char output[BUFSIZ];
    setvbuf(stdout, output, _IOFBF, sizeof output);
    void *first = malloc((size_t)2 << 20);
    take_large();
    free(first);
    for (size_t i = 0; i < LARGE; i += 2) {
        free(large[i]);
    }
    malloc_trim(0); /* these read as zero from now on, */
    for (size_t i = 0; i < SMALL; i++) {
        small[i] = malloc(200);
        memset(small[i], 1, 200);
    }
    pthread_t thread;
    pthread_create(&thread, NULL, leave, NULL);
    pthread_join(thread, NULL);
    for (size_t i = 10001; i < SMALL; i++) {
        if (i % 10 != 0 && i % 1000 > 300) {
            free(small[i]);
        }
    }
    for (size_t i = 1; i < LARGE; i += 2) {
        large[i] = realloc(large[i], (size_t)200 << 10); /* and their ends are dirty */
    }
    puts("nothing 0x10");
    fflush(stdout);
    pause();
    return 0;
}
