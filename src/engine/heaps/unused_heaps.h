/*
 * unused_heaps.h - heaps without a thread.
 *
 * The next thread gets the one given back last. Those that no thread needed for decay_ms, and all when the engine is
 * trimmed, become *bare*: they give the whole pages of their first members back, most of a heap. What others may read
 * of any heap stays. Only these functions and heap_obtain know the list; bare heaps are at its end, and one that is
 * about to become bare is in no list. All under the lock of the table, except as stated.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct heap;

/* No heap is unused. */
void unused_heaps_start(void);

/* The heap may be bare. NULL if there is none. */
struct heap *unused_heap_take(void);

void unused_heap_put(struct heap *heap);

/* Makes up to `most` unused heaps bare, those given back first. Returns the bytes given back. No lock is held. */
size_t unused_heaps_bare(size_t most);

/* Makes those bare that were not needed for decay_ms, some of them in later calls. No lock is held. */
void unused_heaps_decay(uint64_t now_ms);
