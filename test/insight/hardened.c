/*
 * hardened.c - a program for harden=full with blocks in known states. It prints them, "name address" on each line, and
 * waits; with an argument it aborts instead.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void tell(const char *name, const void *address) {
    printf("%s %#lx\n", name, (unsigned long)(uintptr_t)address);
}

int main(int count, char **words) {
    (void)words;
    static char output[BUFSIZ]; /* so that printing allocates nothing */
    setvbuf(stdout, output, _IOFBF, sizeof output);
    char *live = malloc(100);
    char *overflown = malloc(20);
    char *quarantined = malloc(40);
    char *fenced = malloc((size_t)300 << 10);
    free(quarantined);
    free(fenced);
    memset(overflown, 1, 23);
    tell("live", live);
    tell("overflown", overflown);
    tell("quarantined", quarantined);
    tell("fenced", fenced);
    tell("nothing", (void *)16);
    fflush(stdout);
    if (count > 1) {
        abort();
    }
    pause();
    return 0;
}
