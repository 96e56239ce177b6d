/* realloc.h - the sizes that realloc leaves blocks with, which sized delete must know. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "engine/slabs/abandoned.h"
#include "engine/tables/size_class.h"

/* realloc leaves a block of `size` bytes in place for larger requests than this. */
static inline size_t realloc_keeps_from(size_t size) {
    return size / 2;
}

struct block;

/* A live slot or large block of the window; false if it must move. */
bool realloc_in_place(const struct block *block, size_t size);

/* Whether blocks of `size` bytes come from this class, in a heap or in shared slabs. */
static inline bool class_fits(size_t size, unsigned size_class) {
    if (size > SMALL_MAX) {
        return size <= MEDIUM_MAX && size_class_of_medium(size) == size_class;
    }
    return size_class_of(size) == size_class || shared_class(size) == size_class;
}
