/*
 * upkeep.h - when memory goes back: to the slabs, to other threads, to the system. All policy on that is here.
 *
 * Every slow path comes by (upkeep), and a thread that its magazines serve does each time it has asked for so many
 * bytes (upkeep_beat). A heap that is about to grow first gives up what it does not use (upkeep_before_growth), then
 * takes from heaps whose threads are idle (upkeep_steal); before an allocation fails, all heaps give up what they can
 * (upkeep_gather).
 *
 * No lock is held at any of these calls, except where it says so.
 */
#ifndef MEMS_ENGINE_UPKEEP_H
#define MEMS_ENGINE_UPKEEP_H

#include <stdbool.h>
#include <stddef.h>

struct heap;

/* The door of the slow paths: counts a slow call of the heap's thread; one in some does a pass. */
void upkeep(struct heap *heap);

/* A beat of the heap (heap_count): does a pass. */
void upkeep_beat(struct heap *heap);

/* Gives back what has lain unused: the heap's magazines and depot, dirty memory, free pages of slabs, what an idle heap
 * keeps. */
void upkeep_pass(struct heap *heap);

/* The same for a thread without a heap: what others keep. */
void upkeep_of_others(void);

/* For a thread that has the time: the same of all heaps. Whether anything went back, or will soon. */
bool upkeep_of_all(void);

/* Asks how much memory the process may have, which bounds the budget, and how short memory is: then all goes back that
 * can. Reads files of the kernel. */
void upkeep_ask(void);

/* Where only dirty memory matters. */
void upkeep_decay(void);

/* For a heap that is about to grow, under its lock: gives up cached blocks that are not in use. True when it has. */
bool upkeep_before_growth(struct heap *heap);

/* For memory that is about to grow because no dirty span has `units` to `most` units: gives up some cached large
 * blocks, those of the heap (NULL: none) first and then of others that have `least` bytes or more in them, until one
 * has. */
void upkeep_unload_larges(struct heap *heap, size_t units, size_t most, size_t least);

/* Before the heap makes a slab: if slabs would hold more memory than ever, gives up free pages of them. */
void upkeep_make_way(struct heap *heap);

/* A block of a class that was freed in an idle heap, and is live now; NULL when there is none. */
void *upkeep_steal(struct heap *heap, unsigned size_class);

/* The same from any heap, idle or not: before an allocation fails. */
void *upkeep_steal_anywhere(struct heap *heap, unsigned size_class);

/* Gives up all that all heaps keep, that of the calling thread's first (NULL: it has none). */
void upkeep_gather(struct heap *mine);

/* The same, and gives all free memory to the system; the bytes given back. */
size_t upkeep_trim(struct heap *mine);

#endif
