/* idle.h - heaps whose threads are idle. Other threads may take from them blocks freed remotely, the depot, cached
 * large blocks, and empty slabs. Blocks in magazines stay, because only their thread may touch them. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct heap;

/* How many heaps are searched for idle ones before memory exceeds its peak. */
#define PEAK_HEAPS 256u

/* Units with remote frees to collect in a heap at a time. */
#define IDLE_UNITS 64u

/* How many heaps a thread examines at a time; 0 if there is none but its own (NULL: it has none). */
unsigned idle_looks(const struct heap *mine);

/* The heap to examine next; all threads share one rotation. */
struct heap *idle_next(void);

/* Whether the heap's thread has taken no slow path for a while. A guess: whoever acts on it takes the heap's lock. */
bool idle_now(struct heap *heap, uint64_t now_ms);

/* Reclaims what another thread's heap keeps: its depot, its empty slabs, and up to `units` units with remote frees
 * and as many cached large blocks. Under its lock. */
void idle_reclaim(struct heap *heap, size_t units);

/* The same if the heap is idle, without its lock. Returns whether it had something. */
bool idle_reclaim_if(struct heap *heap, uint64_t now_ms);

/* Reclaims idle heaps until there is a dirty span of `units` units. True if that made one. */
bool idle_reclaim_for(const struct heap *mine, uint64_t now_ms, size_t units);

/* Takes the empty slabs of the heap that was the last to keep one, idle or not. True if there is then such a span. */
bool idle_take_empty(const struct heap *mine, size_t units);

/* Takes a free block of a class from an idle heap, and makes it live; NULL: none. `heap` is the calling thread's. */
void *idle_steal(struct heap *heap, unsigned size_class);

/* The same from any heap, idle or not: before an allocation fails. */
void *idle_steal_anywhere(struct heap *heap, unsigned size_class);
