/*
 * busy.c - a program that first leaves many free pages in slabs with survivors, then allocates and frees without end.
 * It prints one block of each kind, "name address", and "nothing". The argument is the number of threads (1).
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COUNT 20000

static void *work(void *arg) {
    static _Thread_local void *blocks[1000];
    for (unsigned round = 0;; round++) {
        for (size_t i = 0; i < 1000; i++) {
            blocks[i] = malloc(i * 3 + round % 7);
        }
        for (size_t i = 0; i < 1000; i++) {
            free(blocks[i]);
        }
        if (arg == NULL) {
            usleep(1000);
        }
    }
    return NULL;
}

int main(int count, char **words) {
    static void *blocks[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        blocks[i] = malloc(1000);
        memset(blocks[i], 1, 1000);
    }
    for (size_t i = 0; i < COUNT; i++) {
        if (i % 100 != 0) {
            free(blocks[i]);
        }
    }
    printf("survivor %#lx\nnothing 0x10\n", (unsigned long)(uintptr_t)blocks[0]);
    fflush(stdout);
    for (int threads = count > 1 ? atoi(words[1]) : 0; threads > 0; threads--) {
        pthread_t thread;
        pthread_create(&thread, NULL, work, words);
    }
    work(NULL);
    return 0;
}
