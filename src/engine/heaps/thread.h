/* thread.h - how a thread gets a heap, and returns it when it ends. */
#pragma once

#include <stdbool.h>

#include "heap.h"

/* The engine's start. Sets two functions that each thread that had a heap calls as it ends: `ending` before it returns
 * the heap, `ended` after. */
void threads_start(void (*ending)(struct heap *heap), void (*ended)(void));

/* Gives the calling thread a heap if it may have one. NULL if there is no memory, or the thread is ending. */
struct heap *thread_begin(void);

/* Whether a block of the class comes from the shared slab, as a thread's first ones do. Counts it. */
bool thread_take_share(struct heap *heap, unsigned size_class);

/* In a forked child, with all locks free: retires the heaps of lost threads, and abandons their slabs. */
void threads_recover(void);
