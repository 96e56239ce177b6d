/*
 * misuse.h - mistakes that several tests make, each in a child process, and how reports on foreign pointers end.
 */
#pragma once

#include "support/family.h"

#include "support/child.h"

#ifdef LIBRARY_hmm
#define FOREIGN "(@): not from this heap"
#else
#define FOREIGN "(@): not from this heap: outside the heap: from another allocator, a stack, or static data"
#endif

static inline void free_pointer(void *pointer) {
    free(hidden(pointer));
}

static inline void free_twice(void *argument) {
    size_t size = *(size_t *)argument;
    void *block = malloc(size);
    free(block);
    free(hidden(block));
}

struct inside {
    size_t size;
    size_t offset;
};

static inline void free_inside(void *argument) {
    const struct inside *inside = argument;
    char *block = malloc(inside->size);
    free(hidden(block + inside->offset));
}

/* Frees more blocks of the size than any magazine holds: the magazine is flushed, and the thread's inbox drained. */
static inline void turn_over(size_t size) {
    enum { COUNT = 5000 };
    static void *blocks[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        blocks[i] = malloc(size);
    }
    for (size_t i = 0; i < COUNT; i++) {
        free(blocks[i]);
    }
}
