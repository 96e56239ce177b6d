#include "support/sorted.h"

#include <stdlib.h>

static int compare(const void *a, const void *b) {
    const uint64_t *left = a;
    const uint64_t *right = b;
    return *left < *right ? -1 : *left > *right;
}

void sort_by(void *array, size_t count, size_t size, int (*order)(const void *a, const void *b)) {
    if (count != 0) {
        qsort(array, count, size, order);
    }
}

void sort(void *array, size_t count, size_t size) {
    sort_by(array, count, size, compare);
}

void *sorted_find(const void *array, size_t count, size_t size, uint64_t first) {
    const size_t index = sorted_from(array, count, size, first);
    if (index == count) {
        return NULL;
    }
    uint64_t *found = (uint64_t *)((uintptr_t)array + index * size);
    return *found == first ? found : NULL;
}
