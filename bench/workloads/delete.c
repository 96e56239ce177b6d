/*
 * delete.c - a working set of C++ objects that are replaced at random. `sized` passes the object's size to operator
 * delete, as compilers have done since C++14; `plain` does not. With the size an allocator can skip a look-up, or check
 * it.
 *
 * The program calls the operators by their mangled names, so it is in C like the others; it needs libstdc++.
 */
#include "workload.h"

void *operator_new(size_t size) __asm__("_Znwm");
void operator_delete(void *block) __asm__("_ZdlPv");
void operator_delete_sized(void *block, size_t size) __asm__("_ZdlPvm");

static void delete_plain(void *block) {
    unstamp(block);
    operator_delete(block);
}

static void delete_sized(void *block) {
    size_t size = unstamp(block);
    operator_delete_sized(block, size);
}

static inline void churn(size_t index, void (*drop)(void *block)) {
    void *live[1024];
    uint64_t random = random_seed(index);
    size_t steps = share(40000000, index);
    for (size_t i = 0; i < LENGTH(live); i++) {
        size_t size = small_size(&random);
        live[i] = stamp(operator_new(size), size);
    }
    for (size_t left = steps; left > 0; left--) {
        void **slot = &live[next_random(&random) % LENGTH(live)];
        drop(*slot);
        size_t size = small_size(&random);
        *slot = stamp(operator_new(size), size);
    }
    for (size_t i = 0; i < LENGTH(live); i++) {
        drop(live[i]);
    }
    count_operations(2 * (LENGTH(live) + steps));
}

static void plain(size_t index) {
    churn(index, delete_plain);
}

static void sized(size_t index) {
    churn(index, delete_sized);
}

static const struct variant variants[] = {{"plain", .each = plain}, {"sized", .each = sized}};

int main(int argc, char **argv) {
    return workload_main(argc, argv, variants, LENGTH(variants));
}
