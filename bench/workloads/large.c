/*
 * large.c - larger blocks, replaced at random; every page is written after allocation and read before the free. The
 * threads share the slots, so the live amount does not depend on their number.
 */
#include "workload.h"

struct slot {
    char *block;
    size_t size;
};

/* Doublings of `least`, all equally likely, and sizes in between. */
static void replace(size_t index, size_t all_slots, size_t least, uint32_t doublings, size_t all_steps) {
    static _Thread_local struct slot slots[256];
    size_t count = all_slots / run.threads > 2 ? all_slots / run.threads : 2;
    size_t steps = share(all_steps, index);
    uint64_t random = random_seed(index);
    for (size_t left = steps; left > 0; left--) {
        struct slot *slot = &slots[next_random(&random) % count];
        if (slot->block != NULL) {
            check_pages(slot->block, slot->size, slot->size);
            free(slot->block);
        }
        size_t half = least << next_random(&random) % doublings;
        slot->size = size_between(&random, half, 2 * half);
        slot->block = malloc(slot->size);
        if (slot->block == NULL) {
            die("malloc failed");
        }
        fill_pages(slot->block, 0, slot->size, slot->size);
    }
    for (size_t i = 0; i < count; i++) {
        free(slots[i].block);
    }
    count_operations(2 * steps);
}

/* 64 KiB to 32 MiB */
static void large(size_t index) {
    replace(index, 16, 64 * KIB, 9, 1000);
}

/* 4 to 64 KiB */
static void medium(size_t index) {
    replace(index, 256, 4 * KIB, 4, 3000000);
}

static const struct variant variants[] = {{"large", .each = large}, {"medium", .each = medium}};

int main(int argc, char **argv) {
    return workload_main(argc, argv, variants, LENGTH(variants));
}
