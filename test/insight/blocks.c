/*
 * blocks.c - a program with blocks in known states. It prints them, "name address" on each line, and waits; with an
 * argument it aborts instead.
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COUNT 2000

static void *many[COUNT];
static char in_data[16] = "data";

static void tell(const char *name, const void *address) {
    printf("%s %#lx\n", name, (unsigned long)(uintptr_t)address);
}

static _Atomic int freed;

/* Frees a block of main's, so that main's heap has something to collect. */
static void *free_for_main(void *block) {
    free(block);
    freed = 1;
    pause();
    return NULL;
}

int main(int count, char **words) {
    (void)words;
    static char output[BUFSIZ]; /* so that printing allocates nothing */
    setvbuf(stdout, output, _IOFBF, sizeof output);
    /* Many slabs with holes, so that pages are shared by live and free slots. */
    for (size_t i = 0; i < COUNT; i++) {
        many[i] = malloc(i % 900 + 1);
        memset(many[i], 1, i % 900 + 1);
    }
    char *live = malloc(100);
    char *cached = malloc(100);
    char *remote = malloc(3000);
    char *large = malloc((size_t)300 << 10);
    char *huge = malloc((size_t)65 << 20);
    memset(large, 1, (size_t)300 << 10);
    huge[5000] = 1;
    for (size_t i = 0; i < COUNT; i += 3) {
        free(many[i]);
        many[i] = NULL;
    }
    pthread_t thread;
    pthread_create(&thread, NULL, free_for_main, remote);
    while (!freed) {
        usleep(1000);
    }
    free(cached);
    strcpy(live, "nobody else's business");
    tell("live", live);
    tell("inside", live + 50);
    tell("cached", cached);
    tell("remote", remote);
    tell("large", large);
    tell("large_inside", large + 70000);
    tell("huge", huge + 12345);
    tell("data", in_data);
    tell("code", (const void *)(uintptr_t)free_for_main);
    tell("nothing", (const void *)(uintptr_t)0x1000);
    fflush(stdout);
    if (count > 1) {
        abort();
    }
    pause();
    return 0;
}
