/*
 * upkeep.h - when memory is flushed, reclaimed and purged. All policy on that is here.
 *
 * Every slow path calls upkeep, and each beat of a heap (heap_count) calls upkeep_beat. A heap that is about to grow
 * first flushes unused blocks (upkeep_before_growth), then takes from heaps whose threads are idle (idle.h). Before an
 * allocation fails, all heaps are reclaimed (upkeep_reclaim_all).
 *
 * No lock is held at any of these calls, unless noted.
 */
#ifndef MEMS_ENGINE_UPKEEP_H
#define MEMS_ENGINE_UPKEEP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/heaps/heap.h"

/* A heap looks for unused memory on one in this many slow calls, and at each beat, but not twice within one tick of the
 * coarse clock. */
#define CALLS_PER_PASS 16u

/* Counts a slow call of the heap's thread. True for one in CALLS_PER_PASS, which must do a pass. */
static inline bool upkeep_count(struct heap *heap) {
    const uint32_t calls = atomic_load_explicit(&heap->slow_calls, memory_order_relaxed);
    atomic_store_explicit(&heap->slow_calls, calls + 1, memory_order_relaxed);
    return calls % CALLS_PER_PASS == 0;
}

/* The entry of the slow paths: counts a slow call, and does its share of what is due. */
void upkeep(struct heap *heap);

/* For a call for which upkeep_count returned true: does the pass. */
void upkeep_counted(struct heap *heap);

/* A beat of the heap (heap_count): does a pass. */
void upkeep_beat(struct heap *heap);

/* Flushes the heap's unused magazines and depot, purges dirty memory and free pages of slabs, and reclaims an idle
 * heap. */
void upkeep_pass(struct heap *heap);

/* The same for a thread without a heap: other heaps' memory. */
void upkeep_of_others(void);

/* For a thread that has time: the same for all heaps. Returns whether anything was purged, or soon will be. */
bool upkeep_of_all(void);

/* Determines how much memory the process may have, which bounds the budget, and whether memory is short: then trims
 * all heaps. Reads kernel files. */
void upkeep_ask(void);

/* Where only dirty memory matters. */
void upkeep_decay(void);

/* For a heap that is about to grow, under its lock: flushes cached blocks that are not in use. True if it has
 * flushed any. */
bool upkeep_before_growth(struct heap *heap);

/*
 * For memory that is about to grow because no dirty span has `units` to `most` units: flushes some cached large blocks
 * until one has. First those of the heap (NULL: none), then those of others that have cached `least` bytes or more.
 */
void upkeep_flush_larges(struct heap *heap, size_t units, size_t most, size_t least);

/* Before the heap creates a slab: flushes what it has cached if memory would exceed its peak, and purges free pages of
 * slabs if slabs would exceed theirs. */
void upkeep_before_peak(struct heap *heap);

/* Flushes and reclaims everything that heaps keep, the calling thread's heap first (NULL: it has none). */
void upkeep_reclaim_all(struct heap *mine);

/* The same, and purges all free memory. Returns the bytes purged. */
size_t upkeep_trim(struct heap *mine);

#endif
