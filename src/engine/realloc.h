/*
 * realloc.h - what realloc lets a block's size be, which sized delete has to know too.
 */
#ifndef MEMS_ENGINE_REALLOC_H
#define MEMS_ENGINE_REALLOC_H

#include <stdbool.h>
#include <stddef.h>

/* realloc leaves a block of `size` bytes where it is for requests larger than this. */
static inline size_t realloc_keeps_from(size_t size) {
    return size / 2;
}

/* Whether blocks of `size` bytes come from this class, in a heap or in the shared slabs. */
bool class_fits(size_t size, unsigned size_class);

#endif
