/*
 * batches.c - many small blocks, then all of them freed: in the order in which they came, in reverse, or at random.
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

static const struct variant variants[] = {
    {"batch_in_order", .whole = in_order}, {"batch_reverse", .whole = reverse}, {"batch_random", .whole = at_random}};

int main(int argc, char **argv) {
    return workload_main(argc, argv, variants, LENGTH(variants));
}
