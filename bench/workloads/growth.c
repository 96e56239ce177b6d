/*
 * growth.c - realloc: blocks that grow step by step, some at a time and in turn, as a program's arrays and strings do.
 */
#include "workload.h"

static char *grown(char *block, size_t size) {
    char *moved = realloc(block, size);
    if (moved == NULL) {
        die("realloc failed");
    }
    return moved;
}

/* Arrays grow by half of their size each time. Returns the number of calls. */
static size_t grow_arrays(size_t count, size_t limit) {
    char *arrays[8] = {NULL};
    size_t calls = 0;
    size_t old = 0;
    for (size_t size = 16; size <= limit; old = size, size += size / 2) {
        for (size_t i = 0; i < count; i++) {
            arrays[i] = grown(arrays[i], size);
            if (old > 0) {
                check_pages(arrays[i], old, i);
            }
            fill_pages(arrays[i], old, size, i);
        }
        calls += count;
    }
    for (size_t i = 0; i < count; i++) {
        free(arrays[i]);
    }
    return calls + count;
}

/* Strings grow by 32 bytes each time, and are read as a whole at the end. */
static size_t grow_strings(size_t limit) {
    char *strings[8] = {NULL};
    size_t calls = 0;
    for (size_t size = 32; size <= limit; size += 32) {
        for (size_t i = 0; i < LENGTH(strings); i++) {
            strings[i] = grown(strings[i], size);
            memset(strings[i] + size - 32, 'a' + (int)i, 32);
        }
        calls += LENGTH(strings);
    }
    for (size_t i = 0; i < LENGTH(strings); i++) {
        for (size_t at = 0; at < limit; at++) {
            if (strings[i][at] != 'a' + (char)i) {
                die("a string was overwritten");
            }
        }
        free(strings[i]);
    }
    return calls + LENGTH(strings);
}

static void growth(void) {
    for (size_t left = scaled(10); left > 0; left--) {
        count_operations(grow_arrays(8, 16 * MIB));
        for (int strings = 0; strings < 20; strings++) {
            count_operations(grow_strings(8 * KIB));
        }
    }
}

static void arrays(size_t index) {
    for (size_t left = share(300, index); left > 0; left--) {
        count_operations(grow_arrays(4, MIB));
    }
}

static void strings(size_t index) {
    for (size_t left = share(12000, index); left > 0; left--) {
        count_operations(grow_strings(4 * KIB));
    }
}

static const struct variant variants[] = {
    {"growth", .whole = growth, .threads = 1}, {"arrays", .each = arrays}, {"strings", .each = strings}};

int main(int argc, char **argv) {
    return workload_main(argc, argv, variants, LENGTH(variants));
}
