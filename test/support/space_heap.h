/*
 * space_heap.h - the MeMS heap as an allocator of the kit: `heap` is a struct mems_space.
 */
#pragma once

#include "allocator.h"
#include "mems_heap/space.h"
#include "valid/space_valid.h"

static inline void *space_heap_alloc(void *heap, size_t size) {
    return space_alloc("malloc", heap, size);
}

static inline void *space_heap_alloc_zeroed(void *heap, size_t size) {
    return space_alloc_zeroed("calloc", heap, 1, size);
}

static inline void *space_heap_resize(void *heap, void *block, size_t size) {
    return space_realloc("realloc", heap, block, size);
}

static inline void space_heap_free(void *heap, void *block) {
    space_free("free", heap, block);
}

static inline size_t space_heap_usable_size(void *heap, void *block) {
    return space_usable_size("usable_size", heap, block);
}

static inline unsigned char *space_heap_memory(void *heap, void *block) {
    return space_get("get", heap, block);
}

static inline void space_heap_trim(void *heap, size_t pad) {
    (void)pad;
    space_trim("trim", heap);
}

static inline bool space_heap_valid(void *heap, const char **why) {
    return space_valid(heap, why);
}

static const struct allocator allocator = {
    .size_min = 1,
    .alloc = space_heap_alloc,
    .alloc_zeroed = space_heap_alloc_zeroed,
    .resize = space_heap_resize,
    .free = space_heap_free,
    .usable_size = space_heap_usable_size,
    .memory = space_heap_memory,
    .trim = space_heap_trim,
    .valid = space_heap_valid,
};
