/*
 * core_blocks BYTES - fills blocks of many sizes, BYTES in total, each with its own pattern; prints the address, the
 * size and the first byte of each, then "ready"; and aborts with a core when its input ends.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

/* A heap that hangs must not outlive its test. */
#define WATCHDOG 900

int main(int count, char **arguments) {
    static const size_t sizes[] = {24, 1000, 20000, 300000, 5000000, 70000000};
    size_t left = count > 1 ? strtoul(arguments[1], NULL, 10) : 0;
    struct rlimit limit;
    alarm(WATCHDOG);
    if (getrlimit(RLIMIT_CORE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_CORE, &limit);
    }
    for (unsigned i = 0; left >= sizes[0]; i++) {
        size_t size = sizes[i % (sizeof sizes / sizeof sizes[0])];
        if (size > left) {
            continue;
        }
        unsigned char *block = malloc(size);
        if (block == NULL) {
            return 1;
        }
        for (size_t at = 0; at < size; at++) {
            block[at] = (unsigned char)(i * 37 + at * 7);
        }
        printf("%p %zu %u\n", (void *)block, size, i * 37 % 256);
        left -= size;
    }
    printf("ready\n");
    fflush(stdout);
    while (getchar() != EOF) {
    }
    abort();
}
