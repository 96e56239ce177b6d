/*
 * growth.c - realloc: several blocks that grow step by step in turn, like a program's arrays and strings.
 *
 * holes: a heap with 50,000 free holes must grow, because none is quite large enough. An allocator that looks at one
 * hole after another gets slower with each.
 */
#include <sys/prctl.h>

#include "workload.h"

static char *grown(char *block, size_t size) {
    char *moved = realloc(block, size);
    if (moved == NULL) {
        die("realloc failed");
    }
    return moved;
}

/* By half each time. Returns the number of calls. */
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

/* By 32 bytes each time; read completely at the end. */
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

/* Blocks of just below 2 MiB, kept apart by others when they are freed. Nobody writes to them, so they are about 100 GB
 * of mere address space, unless the kernel supplies a huge page for a word that the allocator writes. An allocator that
 * maps each block separately reaches the kernel's limit on mappings first and gets fewer holes; the report says how
 * many. */
static void make_holes(void) {
    static void *holes[50000];
    uint64_t random = random_seed(0);
    size_t count = 0;
    while (count < LENGTH(holes)) {
        void *block = malloc(size_between(&random, 1900 * KIB, 2 * MIB - PAGE));
        if (block == NULL) {
            break;
        }
        holes[count++] = block;
        if (malloc(40000) == NULL) {
            break;
        }
    }
    for (size_t i = 0; i < count; i++) {
        free(holes[i]);
    }
    report(" holes=%zu", count);
}

static void grow_over_holes(void) {
    double start = now();
    prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
    size_t count = scaled(50000);
    void **blocks = resident_table(count);
    uint64_t random = random_seed(1);
    make_holes();
    run.untimed += now() - start;
    for (size_t i = 0; i < count; i++) {
        blocks[i] = allocate(size_between(&random, 2 * MIB, 2 * MIB + 60 * KIB));
    }
    for (size_t i = 0; i < count; i++) {
        release(blocks[i]);
    }
    count_operations(2 * count);
}

static const struct variant variants[] = {{"growth", .whole = growth, .threads = 1},
                                          {"arrays", .each = arrays},
                                          {"strings", .each = strings},
                                          {"holes", .whole = grow_over_holes, .threads = 1}};

int main(int argc, char **argv) {
    return workload_main(argc, argv, variants, LENGTH(variants));
}
