/* decay.h - when memory is flushed, reclaimed and purged. This folder decides that, except how old is old enough: the
 * option decay_ms (engine_options.c) says it for all kinds of memory, span_age.c for dirty spans, depot.c and
 * large_cache.c for what they hold. page_purge_age_ms is the age of pages in slabs. Every slow path calls upkeep, and
 * each beat at which a pass is due (sample_points.h) calls upkeep_beat. A heap that is about to grow first flushes
 * unused blocks (before_growth.h), then takes from heaps whose threads are idle (idle.h). Before an allocation fails,
 * all heaps are reclaimed (trim.h). No lock is held at any of these calls, unless noted. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "engine/heaps/heap.h"

/* A heap looks for unused memory in one of this many slow calls, and at such a beat, but at most once in a tick of the
 * coarse clock. */
#define CALLS_PER_PASS 16u

/* Counts a slow call of the heap's thread. One in CALLS_PER_PASS returns true, and must do a pass. */
static inline bool upkeep_count(struct heap *heap) {
    const uint32_t calls = atomic_load_explicit(&heap->slow_calls, memory_order_relaxed);
    atomic_store_explicit(&heap->slow_calls, calls + 1, memory_order_relaxed);
    return calls % CALLS_PER_PASS == 0;
}

/* Slow paths end in it: counts a slow call, and does its share of what is due. */
void upkeep(struct heap *heap);

/* For a call for which upkeep_count returned true: does the pass. */
void upkeep_counted(struct heap *heap);

/* At a beat of the heap: does a pass. */
void upkeep_beat(struct heap *heap);

/* Flushes the heap's unused magazines and depot, purges dirty memory and free pages, and reclaims an idle heap. */
void upkeep_pass(struct heap *heap, uint64_t now_ms);

/* The same for a thread without a heap: other heaps' memory. */
void upkeep_of_others(void);

/* For a thread that has time: the same for all heaps. Returns whether something was purged, or soon will be. */
bool upkeep_of_all(void);

/* Purges only dirty spans, if some are due. */
void upkeep_decay(void);
