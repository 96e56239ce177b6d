/*
 * front.h - what alloc, free and realloc share.
 */
#ifndef MEMS_ENGINE_FRONT_H
#define MEMS_ENGINE_FRONT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/compiler.h"
#include "heap.h"
#include "root.h"
#include "thread.h"

/* Counts a failed allocation and sets errno; NULL. */
void *out_of_memory(void);

/* The calling thread's heap, made if need be; NULL when it can have none. */
static inline struct heap *heap_ensured(void) {
    struct heap *heap = heap_mine;
    if (LIKELY(heap != &heap_none)) {
        return heap;
    }
    return root_start() ? thread_begin() : NULL;
}

/* A block too large for a slab, or too strictly aligned; *zero tells whether it reads as zero. */
void *alloc_big(size_t size, size_t alignment, bool *zero);

/* Does what somebody outside has asked for, if there is something. With no lock held. */
void request_serve(void);

#endif
