/*
 * holders.c - a program that keeps one block in fifty of those that filled its slabs.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BLOCKS 100000

static void *blocks[BLOCKS];

__attribute__((noinline)) static void *hold(void) {
    void *block = malloc(120);
    memset(block, 1, 120);
    return block;
}

int main(void) {
    for (int i = 0; i < BLOCKS; i++) {
        blocks[i] = hold();
    }
    for (int i = 0; i < BLOCKS; i++) {
        if (i % 50 != 0) {
            free(blocks[i]);
        }
    }
    puts("nothing 0");
    fflush(stdout);
    for (;;) {
        pause();
    }
}
