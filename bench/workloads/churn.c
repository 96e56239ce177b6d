/*
 * churn.c - a working set whose blocks are replaced one after the other: what most programs do most of the time.
 */
#include "workload.h"

/* Small blocks, all equally likely to be replaced. */
static void churn(size_t index) {
    void *live[1024];
    uint64_t random = random_seed(index);
    size_t steps = share(40000000, index);
    for (size_t i = 0; i < LENGTH(live); i++) {
        live[i] = allocate(small_size(&random));
    }
    for (size_t left = steps; left > 0; left--) {
        void **slot = &live[next_random(&random) % LENGTH(live)];
        release(*slot);
        *slot = allocate(small_size(&random));
    }
    for (size_t i = 0; i < LENGTH(live); i++) {
        release(live[i]);
    }
    count_operations(2 * (LENGTH(live) + steps));
}

/*
 * Blocks up to 32 KiB, mostly small; some are replaced again and again, others hardly ever: a step picks the first half
 * of the remaining slots as often as all of them, and so on, eight times.
 */
static void tail(size_t index) {
    static _Thread_local void *live[8192];
    uint64_t random = random_seed(index);
    size_t steps = share(24000000, index);
    for (size_t i = 0; i < LENGTH(live); i++) {
        live[i] = allocate(tail_size(&random));
    }
    for (size_t left = steps; left > 0; left--) {
        uint32_t halvings = next_random(&random) % 8;
        void **slot = &live[next_random(&random) % LENGTH(live) >> halvings];
        release(*slot);
        *slot = allocate(tail_size(&random));
    }
    for (size_t i = 0; i < LENGTH(live); i++) {
        release(live[i]);
    }
    count_operations(2 * (LENGTH(live) + steps));
}

static const struct variant variants[] = {{"churn", .each = churn}, {"tail", .each = tail}};

int main(int argc, char **argv) {
    return workload_main(argc, argv, variants, LENGTH(variants));
}
