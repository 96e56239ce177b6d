/*
 * reader_target.c - the process that the fuzzer of the command mems looks at: a little of all that the heaps can have.
 * It prints a line when all is there, and waits for its parent to end.
 */
#include <hmm.h>
#include <mems.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#define BLOCKS 600

static void *volatile blocks[BLOCKS];

/* Frees main's blocks, and leaves some. */
static void *leave(void *unused) {
    (void)unused;
    for (size_t i = 0; i < BLOCKS; i += 3) {
        free(blocks[i]);
        blocks[i] = malloc(i);
    }
    return NULL;
}

static void use_engine(void) {
    pthread_t thread;
    for (size_t i = 0; i < BLOCKS; i++) {
        blocks[i] = memset(malloc(i + 1), 1, i + 1);
    }
    pthread_create(&thread, NULL, leave, NULL);
    pthread_join(thread, NULL);
    for (size_t i = 1; i < BLOCKS; i += 7) {
        free(blocks[i]);
        blocks[i] = i % 2 != 0 ? malloc(i << 10) : NULL;
    }
    static void *volatile huge[2];
    huge[0] = malloc((size_t)70 << 20);
    huge[1] = malloc((size_t)80 << 20);
    free(huge[1]);
}

static void use_spaces(void) {
    struct mems_space *movable = mems_space_create(&(struct mems_space_options){.movable = MEMS_MOVABLE});
    static char *many[100];
    for (size_t i = 0; i < 100; i++) {
        many[i] = mems_space_malloc(movable, 500 + 40 * i);
        mems_malloc(300 * i + 1);
    }
    for (size_t i = 0; i < 100; i += 2) {
        mems_space_free(movable, many[i]);
    }
    mems_space_compact(movable, SIZE_MAX);
}

static void use_hmm(void) {
    static char memory[1 << 16];
    struct HmmHeap *heap = HmmHeapCreate(memory, sizeof memory, NULL);
    char *some[40];
    for (size_t i = 0; i < 40; i++) {
        some[i] = HmmHeapAlloc(heap, 20 * i);
    }
    for (size_t i = 0; i < 40; i += 3) {
        HmmHeapFree(heap, some[i]);
    }
}

int main(void) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    use_engine();
    use_spaces();
    use_hmm();
    puts("ready");
    fflush(stdout);
    for (;;) {
        pause();
    }
}
