/*
 * confined_huge.c - a program that frees large blocks, limits its address space, and takes huge blocks, for some of
 * which there is room only among the units that it freed. It prints these, "huge address" on each line, and waits.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define MIB ((size_t)1 << 20)
enum { PARTS = 5, COUNT = 16 };

int main(void) {
    char *parts[PARTS];
    for (size_t i = 0; i < PARTS; i++) {
        parts[i] = malloc(63 * MIB);
        memset(parts[i], 1, MIB);
    }
    char *last = memset(malloc(MIB), 1, MIB);
    for (size_t i = 0; i < PARTS; i++) {
        free(parts[i]);
    }
    const struct rlimit limit = {4096 * MIB, 4096 * MIB};
    if (setrlimit(RLIMIT_AS, &limit) != 0) {
        return 1;
    }
    for (size_t i = 0; i < COUNT; i++) {
        char *huge = memset(malloc(64 * MIB), 1, MIB);
        if ((uintptr_t)huge >= (uintptr_t)parts[0] && (uintptr_t)huge < (uintptr_t)last) {
            printf("huge %#lx\n", (unsigned long)(uintptr_t)huge);
        }
    }
    printf("nothing 0x10\n");
    fflush(stdout);
    pause();
    return 0;
}
