/*
 * A process that has used up its mappings (vm.max_map_count): free works, malloc reuses what was freed, and once there
 * are mappings again all is as before. Exits with 77 if the kernel allows too many to try.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "support/check.h"

#define MAPS_MAX 300000
#define BLOCKS 400

static size_t page;

/* A heap that hangs must not outlive its test. */
#define WATCHDOG 900

static size_t size_of(size_t k) {
    static const size_t sizes[] = {40, 1000, 20000, 70000, 300000, 2000000, 9000000};
    return sizes[k % (sizeof sizes / sizeof sizes[0])];
}

static unsigned char *make(size_t k) {
    errno = 0;
    unsigned char *memory = malloc(size_of(k));
    if (memory == NULL) {
        CHECK(errno == ENOMEM);
        return NULL;
    }
    memory[0] = (unsigned char)k;
    memory[size_of(k) - 1] = (unsigned char)k;
    return memory;
}

static void release(unsigned char **block, size_t k) {
    CHECK(*block == NULL || ((*block)[0] == (unsigned char)k && (*block)[size_of(k) - 1] == (unsigned char)k));
    errno = EDOM;
    free(*block);
    CHECK(errno == EDOM);
    *block = NULL;
}

static unsigned long map_limit(void) {
    unsigned long limit = 0;
    FILE *file = fopen("/proc/sys/vm/max_map_count", "r");
    if (file == NULL) {
        return 0;
    }
    if (fscanf(file, "%lu", &limit) != 1) {
        limit = 0;
    }
    fclose(file);
    return limit;
}

/* Every other page readable: each page is then a mapping of its own. */
static void use_up_maps(char *region, size_t pages) {
    size_t i = 1;
    while (i < pages && mprotect(region + i * page, page, PROT_READ) == 0) {
        i += 2;
    }
    CHECK(i < pages && errno == ENOMEM);
}

int main(void) {
    alarm(WATCHDOG);
    static unsigned char *blocks[BLOCKS];
    unsigned long limit = map_limit();
    page = (size_t)sysconf(_SC_PAGESIZE);
    if (limit == 0 || limit > MAPS_MAX) {
        return 77;
    }
    size_t pages = (size_t)limit + 1000;
    char *region = mmap(NULL, pages * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    CHECK(region != MAP_FAILED);

    for (size_t k = 0; k < BLOCKS; k++) {
        blocks[k] = make(k);
        CHECK(blocks[k] != NULL);
    }
    use_up_maps(region, pages);
    for (size_t k = 0; k < BLOCKS; k += 2) {
        release(&blocks[k], k);
    }
    for (size_t k = 0; k < BLOCKS; k += 2) {
        blocks[k] = make(k);
        CHECK(blocks[k] != NULL || size_of(k) > 32768);
    }
    for (size_t k = 1; k < BLOCKS; k += 2) {
        unsigned char *grown = realloc(blocks[k], size_of(k) + size_of(k) / 2);
        if (grown != NULL) {
            blocks[k] = grown;
        }
        CHECK(blocks[k][0] == (unsigned char)k);
    }
    for (size_t k = 0; k < BLOCKS; k += 3) {
        release(&blocks[k], k);
    }

    CHECK(munmap(region, pages * page) == 0);
    for (size_t k = 0; k < BLOCKS; k++) {
        release(&blocks[k], k);
    }
    for (size_t k = 0; k < BLOCKS; k++) {
        blocks[k] = make(k);
        CHECK(blocks[k] != NULL);
    }
    for (size_t k = 0; k < BLOCKS; k++) {
        release(&blocks[k], k);
    }
    return 0;
}
