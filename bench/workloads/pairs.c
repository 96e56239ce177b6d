/*
 * pairs.c - a block is allocated and freed at once, over and over: the cheapest case of both calls. One size, or sizes
 * of every kind in random order.
 *
 * 32k (KiB), 40k, 200k (thousands of bytes), 1m, 30m (MiB): one large size; the program writes both ends of the block.
 * touched_40k and so on: it writes each page, which costs a page fault each if the allocator returns the block's memory
 * to the system at every free.
 */
#include "workload.h"

static void fixed(size_t index) {
    size_t pairs = share(60000000, index);
    for (size_t left = pairs; left > 0; left--) {
        release(allocate(64));
    }
    count_operations(2 * pairs);
}

static void mixed(size_t index) {
    size_t sizes[4096];
    uint64_t random = random_seed(index);
    for (size_t i = 0; i < LENGTH(sizes); i++) {
        sizes[i] = tail_size(&random);
    }
    size_t pairs = share(60000000, index);
    for (size_t left = pairs; left > 0; left--) {
        release(allocate(sizes[left % LENGTH(sizes)]));
    }
    count_operations(2 * pairs);
}

static void ends(size_t size, size_t count) {
    size_t pairs = scaled(count);
    for (size_t left = pairs; left > 0; left--) {
        release(allocate(size));
    }
    count_operations(2 * pairs);
}

static void touched(size_t size, size_t count) {
    size_t pairs = scaled(count);
    for (size_t left = pairs; left > 0; left--) {
        char *block = malloc(size);
        if (block == NULL) {
            die("malloc failed");
        }
        fill_pages(block, 0, size, left);
        check_pages(block, size, left);
        free(block);
    }
    count_operations(2 * pairs);
}

static void ends_32k(void) {
    ends(32 * KIB, 60000000);
}

static void ends_40k(void) {
    ends(40000, 30000000);
}

static void ends_200k(void) {
    ends(200000, 15000000);
}

static void ends_1m(void) {
    ends(MIB, 2500000);
}

static void ends_30m(void) {
    ends(30 * MIB, 1000000);
}

static void touched_40k(void) {
    touched(40000, 10000000);
}

static void touched_200k(void) {
    touched(200000, 2000000);
}

static void touched_1m(void) {
    touched(MIB, 100000);
}

static const struct variant variants[] = {{"fixed", .each = fixed},
                                          {"mixed", .each = mixed},
                                          {"32k", .whole = ends_32k, .threads = 1},
                                          {"40k", .whole = ends_40k, .threads = 1},
                                          {"200k", .whole = ends_200k, .threads = 1},
                                          {"1m", .whole = ends_1m, .threads = 1},
                                          {"30m", .whole = ends_30m, .threads = 1},
                                          {"touched_40k", .whole = touched_40k, .threads = 1},
                                          {"touched_200k", .whole = touched_200k, .threads = 1},
                                          {"touched_1m", .whole = touched_1m, .threads = 1}};

int main(int argc, char **argv) {
    return workload_main(argc, argv, variants, LENGTH(variants));
}
