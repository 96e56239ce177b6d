/*
 * calloc.c - blocks that come as zeros: from memory that the process never had before, and from memory that it has
 * used. The programs look at the zeros before they write.
 */
#include "workload.h"

/* A zeroed block, of which the first and last words and a byte on each page are looked at. */
static char *zeroed(size_t size) {
    char *block = calloc(size / 16, 16);
    if (block == NULL) {
        die("calloc failed");
    }
    bool good = *(uint64_t *)block == 0 && *(uint64_t *)(block + size - 8) == 0;
    for (size_t at = PAGE; at < size; at += PAGE) {
        good &= block[at] == 0;
    }
    if (!good) {
        die("a block of calloc is not zero");
    }
    return block;
}

/* Sizes in multiples of 16: up to 32 KiB, and one block in 64 between 64 KiB and 1 MiB. */
static size_t mixed_size(uint64_t *random) {
    size_t size = next_random(random) % 64 == 0 ? size_between(random, 64 * KIB, MIB) : tail_size(random);
    return size & ~(size_t)15;
}

/* A heap that only grows. */
static void fresh(size_t index) {
    uint64_t random = random_seed(index);
    char *last = NULL; /* each block holds the address of the one before it */
    size_t count = 0;
    for (size_t left = share(512 * MIB, index); left > 0; count++) {
        size_t size = mixed_size(&random);
        char *block = zeroed(size);
        fill_pages(block, 0, size, index);
        *(char **)block = last;
        last = block;
        left -= size < left ? size : left;
    }
    while (last != NULL) {
        char *before = *(char **)last;
        free(last);
        last = before;
    }
    count_operations(2 * count);
}

/* Blocks whose memory is that of others, which the program had filled and freed. */
static void recycled(size_t index) {
    char *live[256];
    uint64_t random = random_seed(index);
    size_t steps = share(3000000, index);
    for (size_t i = 0; i < LENGTH(live); i++) {
        live[i] = zeroed(16);
    }
    for (size_t left = steps; left > 0; left--) {
        char **slot = &live[next_random(&random) % LENGTH(live)];
        free(*slot);
        size_t size = (left % 64 == 0 ? size_between(&random, 64 * KIB, 128 * KIB) : tail_size(&random)) & ~(size_t)15;
        *slot = zeroed(size);
        memset(*slot, 0xa5, size);
    }
    for (size_t i = 0; i < LENGTH(live); i++) {
        free(live[i]);
    }
    count_operations(2 * (LENGTH(live) + steps));
}

/* Large tables of which the program uses little: who fills them with zeros itself makes all their pages resident. */
static void sparse(size_t index) {
    char *live[4] = {NULL};
    uint64_t random = random_seed(index);
    size_t steps = share(1000, index);
    for (size_t left = steps; left > 0; left--) {
        char **slot = &live[left % LENGTH(live)];
        size_t pages = MIB / PAGE << next_random(&random) % 5;
        free(*slot);
        *slot = calloc(pages, PAGE);
        if (*slot == NULL) {
            die("calloc failed");
        }
        for (int uses = 0; uses < 32; uses++) {
            uint64_t *word = (uint64_t *)(*slot + next_random(&random) % pages * PAGE);
            if (*word > left) {
                die("a block of calloc is not zero");
            }
            *word = left;
        }
    }
    for (size_t i = 0; i < LENGTH(live); i++) {
        free(live[i]);
    }
    count_operations(2 * steps);
}

static const struct variant variants[] = {
    {"fresh", .each = fresh}, {"recycled", .each = recycled}, {"sparse", .each = sparse}};

int main(int argc, char **argv) {
    return workload_main(argc, argv, variants, LENGTH(variants));
}
