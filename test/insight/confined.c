/*
 * confined.c - a program that frees large blocks between two live ones and trims: under a limit on address space their
 * units are unmapped. It prints them, "name address" on each line, and waits.
 */
#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COUNT 40

int main(void) {
    static char *blocks[COUNT];
    const size_t size = (size_t)1 << 20;
    for (size_t i = 0; i < COUNT; i++) {
        blocks[i] = malloc(size);
        memset(blocks[i], 1, size);
    }
    printf("unmapped %#lx\nlast %#lx\n", (unsigned long)(uintptr_t)blocks[COUNT / 2],
           (unsigned long)(uintptr_t)blocks[COUNT - 1]);
    for (size_t i = 1; i < COUNT - 1; i++) {
        free(blocks[i]);
    }
    malloc_trim(0);
    printf("nothing 0x10\n");
    fflush(stdout);
    pause();
    return 0;
}
