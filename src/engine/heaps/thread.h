/*
 * thread.h - how a thread gets a heap, and returns it when it ends.
 */
#ifndef MEMS_ENGINE_THREAD_H
#define MEMS_ENGINE_THREAD_H

#include <stdbool.h>

#include "heap.h"

/* The engine's start. `ended` is called in each thread that had a heap, after it has returned it. */
void threads_start(void (*ended)(void));

/* Gives the calling thread a heap if it may have one. NULL when there is no memory, or the thread is ending. */
struct heap *thread_begin(void);

/* Whether a block of the class comes from the shared slab, as a thread's first ones do in a multi-threaded process;
 * takes one off the thread's share. */
bool thread_take_share(struct heap *heap, unsigned size_class);

/* In a forked child, with all locks free: the heaps of threads that do not exist there become unused, and their slabs
 * abandoned. */
void threads_recover(void);

#endif
