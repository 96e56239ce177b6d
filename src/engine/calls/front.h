/*
 * front.h - what the entry points share.
 */
#ifndef MEMS_ENGINE_FRONT_H
#define MEMS_ENGINE_FRONT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/compiler.h"
#include "engine/heaps/heap.h"
#include "engine/heaps/thread.h"
#include "engine/root/root.h"

/* Counts a failed allocation, sets errno, and returns NULL. */
void *out_of_memory(void);

/* The calling thread's heap, made if necessary; NULL if it can have none. */
static inline struct heap *heap_ensured(void) {
    struct heap *heap = heap_mine;
    if (LIKELY(heap != &heap_none)) {
        return heap;
    }
    return root_start() ? thread_begin() : NULL;
}

/* A block too large, or too strictly aligned, for a slab; *zero tells whether it reads as zero. */
void *alloc_big(size_t size, size_t alignment, bool *zero);

/* A block for `size` bytes, in a slot for at least that: `ample` bytes. */
void *alloc_ample(size_t size, size_t ample);

/* Counts the change in size of a big block resized in place. When sampling, the block may become a sample. */
void alloc_count_resized(void *block, size_t old_size, size_t size);

/* A block in the window, whatever its size. */
void *alloc_large(size_t size, size_t alignment, bool *zero);

/* A growing block of `size` bytes in the window, with headroom up to `ample` bytes (large_keep_headroom). *fresh:
 * none of its pages has memory; `purge`: otherwise its headroom must have none. */
void *alloc_grown(size_t size, size_t ample, bool purge, bool *fresh);

/* Clears such a block of `bytes` bytes; `zero`: whether the allocation said that it reads as zero. */
void alloc_clear_big(void *block, size_t bytes, bool zero);

/* Fills the heap's magazine of a class from the heap's memory, then from fresh memory; if there can be no magazine,
 * *block is one live block. False if there is no memory. With no lock held. */
bool alloc_fill(struct heap *heap, unsigned size_class, void **block);

/* In the hardened modes: frees a large block whose pages now belong to another block, so nothing is left to check. */
void free_large_moved(const char *operation, void *block);

/* Serves a request from outside the process, if there is one. With no lock held. */
void request_serve(void);

#endif
