/* sorted.h - arrays of structures in ascending order of their first member, a uint64_t. Ranges are disjoint, and their
 * second member is the end. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* `array` may be NULL if there are no elements. */
void sort(void *array, size_t count, size_t size);

/* The same in another order, as qsort. */
void sort_by(void *array, size_t count, size_t size, int (*order)(const void *a, const void *b));

/* The index of the first element whose member, a uint64_t at `offset`, is at least `least`, or with `above` greater;
 * `count` if there is none. */
static inline size_t sorted_search(const void *array, size_t count, size_t size, size_t offset, uint64_t least,
                                   bool above) {
    size_t low = 0;
    for (size_t high = count; low < high;) {
        const size_t middle = low + (high - low) / 2;
        const uint64_t member = *(const uint64_t *)(const void *)((const char *)array + middle * size + offset);
        if (above ? member <= least : member < least) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* The index of the first element at or behind `first`; `count` if there is none. */
static inline size_t sorted_from(const void *array, size_t count, size_t size, uint64_t first) {
    return sorted_search(array, count, size, 0, first, false);
}

/* The index of the first element behind `first`; `count` if there is none. */
static inline size_t sorted_behind(const void *array, size_t count, size_t size, uint64_t first) {
    return sorted_search(array, count, size, 0, first, true);
}

/* The index of the range that holds an address, or of the next one; `count` if there is none. */
static inline size_t ranges_from(const void *ranges, size_t count, size_t size, uint64_t address) {
    return sorted_search(ranges, count, size, sizeof address, address, true);
}

/* The first element with this first member, or NULL. */
void *sorted_find(const void *array, size_t count, size_t size, uint64_t first);
