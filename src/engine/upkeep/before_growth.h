/* before_growth.h - what is flushed and purged before memory grows. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct heap;

/* How many cached large blocks one call, or one pass, flushes at most. */
#define FLUSHED_LARGES 64u

/* For a heap that is about to grow, under its lock: flushes unused cached blocks. True if it has flushed any. */
bool upkeep_before_growth(struct heap *heap);

/* For memory that is about to grow because no dirty span has `units` to `most` units: flushes cached large blocks until
 * one has, or FLUSHED_LARGES are flushed. First those of the heap (NULL: none), then those of others that have cached
 * at least `least` bytes. */
void upkeep_flush_larges(struct heap *heap, size_t units, size_t most, size_t least);

/* Before the heap creates a slab of `units` units. If memory would exceed its peak, flushes what the heap has cached.
 * If slabs would exceed theirs, gives up empty slabs that no heap owns, and reclaims idle heaps or purges free pages of
 * slabs. */
void upkeep_before_peak(struct heap *heap, size_t units);

/* For a heap whose cached blocks were just flushed, under its lock: upkeep_before_growth waits until it has grown. */
void upkeep_flush_later(struct heap *heap);
