/*
 * pages.c - a program with pages of every kind: huge ones, read but never written, shared with a child after a fork. It
 * prints the child's number, "child NUMBER", and "nothing".
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define SIZE ((size_t)16 << 20)

int main(void) {
    char *huge = malloc(SIZE);
    char *read_only = malloc(SIZE);
    char *shared = malloc(SIZE);
    volatile char sum = 0;
    size_t start = ((size_t)huge + (2 << 20) - 1) & ~(((size_t)2 << 20) - 1);
    madvise((void *)start, (size_t)8 << 20, MADV_HUGEPAGE);
    memset(huge, 1, SIZE);
    for (size_t i = 0; i < SIZE; i += 4096) {
        sum = (char)(sum + read_only[i]);
    }
    memset(shared, 1, SIZE);
    pid_t child = fork();
    if (child == 0) {
        shared[0] = 2;
        pause();
        _exit(0);
    }
    usleep(100000);
    printf("child %d\nnothing 0x10\n", child);
    fflush(stdout);
    pause();
    return 0;
}
