/*
 * pairs.c - a block is allocated and at once freed again, over and over: what the two calls cost at their cheapest. One
 * size, or sizes of every kind in a random order.
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

static const struct variant variants[] = {{"fixed", .each = fixed}, {"mixed", .each = mixed}};

int main(int argc, char **argv) {
    return workload_main(argc, argv, variants, LENGTH(variants));
}
