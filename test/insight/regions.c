/*
 * regions.c - a program that adds a region to HMM and allocates until that is in use, and makes two heaps, one in a
 * block of the first. It prints a block in each, and one elsewhere, "name address" on each line, and waits. With an
 * argument it allocates and frees without end instead, all in one thread.
 */
#include <hmm.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char region[1 << 20];
static char memory[1 << 16];

static void work(void) {
    static void *blocks[1000];
    for (unsigned round = 0;; round = (round + 1) % 7) {
        for (size_t i = 0; i < 1000; i++) {
            blocks[i] = malloc(i * 3 + round);
        }
        for (size_t i = 0; i < 1000; i++) {
            free(blocks[i]);
        }
    }
}

/* A heap with blocks in all states; returns a used one. */
static char *make_heap(void *where, size_t size) {
    struct HmmHeap *heap = HmmHeapCreate(where, size, NULL);
    char *blocks[40];
    for (size_t i = 0; i < 40; i++) {
        blocks[i] = HmmHeapAlloc(heap, 20 * i + (i % 9 == 0 ? 1100 : 0));
    }
    for (size_t i = 0; i < 40; i += 3) {
        HmmHeapFree(heap, blocks[i]);
    }
    return blocks[10];
}

int main(int count, char **words) {
    (void)words;
    static char output[BUFSIZ]; /* so that printing allocates nothing */
    setvbuf(stdout, output, _IOFBF, sizeof output);
    char *outside = malloc(1000);
    if (HmmAddRegion(region, sizeof region) != 0) {
        return 1;
    }
    char *block;
    do {
        block = malloc(1000);
    } while ((uintptr_t)block - (uintptr_t)region >= sizeof region);
    char *made = make_heap(memory, sizeof memory);
    char *inner = make_heap(malloc(sizeof memory), sizeof memory);
    printf("made %#lx\ninner %#lx\n", (unsigned long)(uintptr_t)made + 9, (unsigned long)(uintptr_t)inner + 9);
    printf("region %#lx\nwithin %#lx\noutside %#lx\nnothing 0x10\n", (unsigned long)(uintptr_t)region,
           (unsigned long)(uintptr_t)block + 9, (unsigned long)(uintptr_t)outside + 9);
    fflush(stdout);
    if (count > 1) {
        work();
    }
    pause();
    return 0;
}
