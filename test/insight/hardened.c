/*
 * hardened.c - a program for a hardened mode with blocks in known states. It prints them, "name address" on each line,
 * and waits; with the argument "abort" it aborts instead. With "intact" no block has been written beyond its end.
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
    static char output[BUFSIZ]; /* so that printing allocates nothing */
    setvbuf(stdout, output, _IOFBF, sizeof output);
    char *live = malloc(100);
    char *overflown = malloc(20);
    char *quarantined = malloc(40);
    char *fenced = malloc((size_t)300 << 10);
    free(quarantined);
    free(fenced);
    char *large = malloc(100000);
    char *huge = malloc(((size_t)70 << 20) + 1);
    if (count < 2 || strcmp(words[1], "intact") != 0) {
        memset(overflown, 1, 23);
        memset(large + 100000, 1, 2);
        huge[((size_t)70 << 20) + 2] = 1;
    }
    tell("live", live);
    tell("overflown", overflown);
    tell("large", large);
    tell("huge", huge);
    tell("quarantined", quarantined);
    tell("fenced", fenced);
    tell("nothing", (void *)16);
    fflush(stdout);
    if (count > 1 && strcmp(words[1], "abort") == 0) {
        abort();
    }
    pause();
    return 0;
}
