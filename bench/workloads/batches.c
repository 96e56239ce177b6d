/*
 * batches.c - many small blocks are allocated, then all are freed: in order of allocation, in reverse, or at random.
 *
 * batch_32k (KiB), batch_40k, batch_200k (thousands of bytes), batch_1m, batch_30m (MiB): 64 blocks of one large size,
 * or 16 from 1 MiB on. The program writes both ends of each and frees them in order of allocation.
 */
#include "workload.h"

#define BATCH 20000
static uint32_t order[BATCH];

static void batches(size_t index) {
    static _Thread_local void *batch[BATCH];
    uint64_t random = random_seed(index);
    size_t count = share(600, index);
    for (size_t left = count; left > 0; left--) {
        for (size_t i = 0; i < BATCH; i++) {
            batch[i] = allocate(small_size(&random));
        }
        for (size_t i = 0; i < BATCH; i++) {
            release(batch[order[i]]);
        }
    }
    count_operations(2 * count * BATCH);
}

static void in_order(void) {
    for (uint32_t i = 0; i < BATCH; i++) {
        order[i] = i;
    }
    in_threads(batches);
}

static void reverse(void) {
    for (uint32_t i = 0; i < BATCH; i++) {
        order[i] = BATCH - 1 - i;
    }
    in_threads(batches);
}

static void at_random(void) {
    uint64_t random = random_seed(0);
    for (uint32_t i = 0; i < BATCH; i++) {
        uint32_t other = next_random(&random) % (i + 1);
        order[i] = order[other];
        order[other] = i;
    }
    in_threads(batches);
}

static void large(size_t size, size_t blocks, size_t all_batches) {
    void *batch[64];
    size_t count = scaled(all_batches);
    for (size_t left = count; left > 0; left--) {
        for (size_t i = 0; i < blocks; i++) {
            batch[i] = allocate(size);
        }
        for (size_t i = 0; i < blocks; i++) {
            release(batch[i]);
        }
    }
    count_operations(2 * count * blocks);
}

static void large_32k(void) {
    large(32 * KIB, 64, 120000);
}

static void large_40k(void) {
    large(40000, 64, 120000);
}

static void large_200k(void) {
    large(200000, 64, 80000);
}

static void large_1m(void) {
    large(MIB, 16, 60000);
}

static void large_30m(void) {
    large(30 * MIB, 16, 20000);
}

static const struct variant variants[] = {{"batch_in_order", .whole = in_order},
                                          {"batch_reverse", .whole = reverse},
                                          {"batch_random", .whole = at_random},
                                          {"batch_32k", .whole = large_32k, .threads = 1},
                                          {"batch_40k", .whole = large_40k, .threads = 1},
                                          {"batch_200k", .whole = large_200k, .threads = 1},
                                          {"batch_1m", .whole = large_1m, .threads = 1},
                                          {"batch_30m", .whole = large_30m, .threads = 1}};

int main(int argc, char **argv) {
    return workload_main(argc, argv, variants, LENGTH(variants));
}
