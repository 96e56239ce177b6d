/*
 * thread.h - how a thread gets a heap, and gives it back when it ends.
 */
#ifndef MEMS_ENGINE_THREAD_H
#define MEMS_ENGINE_THREAD_H

#include <stdbool.h>

#include "heap.h"

/* The engine's start. `ended` is called in each thread that had a heap, after it has given it back. */
void threads_start(void (*ended)(void));

/* Gives the calling thread a heap if it may have one; NULL when there is no memory, or the thread is ending. */
struct heap *thread_begin(void);

/* Whether a block of the class comes from the shared slab, as the first ones of a thread do in a process with several;
 * takes one block off the thread's share. */
bool thread_take_share(struct heap *heap, unsigned size_class);

/* In a forked child: the heaps of the threads that do not exist in it become unused, their slabs abandoned. All locks
 * are free. */
void threads_recover(void);

#endif
