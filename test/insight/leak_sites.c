/*
 * leak_sites.c - a program that leaks blocks of one size in two functions, and others in a function whose leaks are
 * accepted.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static __attribute__((noinline)) void *take(size_t size) {
    void *volatile block = malloc(size);
    memset(block, 1, size);
    return block;
}

static __attribute__((noinline)) void forget_often(void) {
    for (int i = 0; i < 3000; i++) {
        take(100);
    }
}

static __attribute__((noinline)) void forget_seldom(void) {
    for (int i = 0; i < 300; i++) {
        take(100);
    }
}

static __attribute__((noinline)) void accepted(void) {
    for (int i = 0; i < 50; i++) {
        *(void **)take(200) = take(300);
    }
}

int main(void) {
    free(take(300000)); /* samples begin after 256 KiB */
    forget_often();
    forget_seldom();
    accepted();
    memset(alloca(4096), 0, 4096);
    puts("nothing 0x10");
    fflush(stdout);
    pause();
    return 0;
}
