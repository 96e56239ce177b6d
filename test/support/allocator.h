/*
 * allocator.h - a common interface to the three heaps, for the kit's models and crowds.
 *
 * engine_heap.h, hmm_heap.h and space_heap.h each define the table `allocator`; a test program includes one of them.
 * `heap` is a MeMS space; the other heaps exist once in a process and ignore it. `block` is what an allocation
 * returned: an address, or a space's virtual one.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "check.h"

/* NULL members: the heap does not have it. */
struct allocator {
    size_t size_min; /* smallest request: 0 or 1 */
    void *(*alloc)(void *heap, size_t size);
    void *(*alloc_zeroed)(void *heap, size_t size);
    void *(*alloc_aligned)(void *heap, size_t alignment, size_t size);
    void *(*resize)(void *heap, void *block, size_t size);
    void (*free)(void *heap, void *block);
    void (*free_sized)(void *heap, void *block, size_t size, size_t alignment);
    size_t (*usable_size)(void *heap, void *block);
    unsigned char *(*memory)(void *heap, void *block); /* where a block's bytes are */
    void (*trim)(void *heap, size_t pad);
    bool (*valid)(void *heap, const char **why);
    int (*option_set)(const char *name, const char *value);
    const char *usual; /* options of a test, unless it has others */
};

/* All invariants of the one heap, or of the space `heap`. */
#define CHECK_VALID() check_valid(__FILE__, __LINE__, &allocator, NULL)
#define CHECK_VALID_SPACE(heap) check_valid(__FILE__, __LINE__, &allocator, heap)

static inline void check_valid(const char *file, int line, const struct allocator *allocator, void *heap) {
    const char *why = "no reason given";
    if (!allocator->valid(heap, &why)) {
        check_failed(file, line, "not valid: %s", why);
    }
}
