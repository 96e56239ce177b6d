/*
 * regions.c - a program that gives HMM a region of its own and allocates until that is in use; it tells a block in it,
 * and one elsewhere, "name address" on each line, and then waits. With an argument it does not wait, but allocates and
 * frees without end, all in one thread.
 */
#include <hmm.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char region[1 << 20];

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
    printf("region %#lx\nwithin %#lx\noutside %#lx\nnothing 0x10\n", (unsigned long)(uintptr_t)region,
           (unsigned long)(uintptr_t)block + 9, (unsigned long)(uintptr_t)outside + 9);
    fflush(stdout);
    if (count > 1) {
        work();
    }
    pause();
    return 0;
}
