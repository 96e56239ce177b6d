/* supply.h - where slots come from when no magazine of the thread's has one; supply_big.h: other blocks. These
 * functions end with what a slow path owes: upkeep, a request from outside, the heap's limit, and samples. Call them
 * with no lock held. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "engine/heaps/hardened_heap.h"
#include "engine/heaps/heap.h"
#include "engine/heaps/sample_points.h"
#include "engine/heaps/thread.h"
#include "engine/root/root.h"
#include "engine/upkeep/decay.h"
#include "heap_request.h"

/* Makes the thread's heap if necessary; NULL if it can have none. */
static inline struct heap *heap_ensured(void) {
    struct heap *heap = heap_mine;
    if (LIKELY(heap != &heap_none)) {
        return heap;
    }
    return root_start() ? thread_begin() : NULL;
}

/* Counts the failure, sets errno, and returns NULL. */
void *out_of_memory(void);

/* Fills the heap's magazine from its memory, then from fresh memory; if there can be no magazine, *block is one live
 * block. False if there is no memory. */
bool supply_magazine(struct heap *heap, unsigned size_class, void **block);

/* With harden=off and light: a live block for `heap`, the calling thread's (NULL: it has none). NULL with ENOMEM. */
void *supply_small(struct heap *heap, unsigned size_class, size_t size, size_t alignment);
void *supply_light(struct heap *heap, unsigned size_class, size_t size, size_t alignment);

/* With harden=full: a slot that has just become live, not a block yet. *interval: the mean sampling interval if it is
 * to be a sample (supply_sampled), else 0. */
void *supply_exact(struct heap *heap, unsigned size_class, size_t size, uint64_t *interval);

/* Ends a beat of the heap (heap_count), and does upkeep if that is due. Returns the mean sampling interval if the block
 * is to be a sample, else 0. */
static inline uint64_t supply_beat(struct heap *heap) {
    bool pass;
    const uint64_t interval = sample_points_beat(heap, &pass);
    if (pass) {
        upkeep_beat(heap);
    }
    if (UNLIKELY(heap->hardened != NULL && heap->hardened->forked)) {
        hardened_shuffle_all(heap);
    }
    return interval;
}

/* Ends a slow path that has supplied `size` bytes. Returns the mean interval if the block is to be a sample, or 0. */
static inline uint64_t supply_keep_up(struct heap *heap, size_t size) {
    uint64_t interval = 0;
    upkeep(heap);
    if (heap_count(heap, size)) {
        interval = supply_beat(heap);
    }
    heap_request_serve();
    return interval;
}

/* Makes a block a sample, or replaces a small block by one with a guard, a medium one by a large one. */
void *supply_sampled(void *block, size_t size, size_t alignment, uint64_t interval);
