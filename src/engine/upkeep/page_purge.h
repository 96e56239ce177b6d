/* page_purge.h - purges the pages of slabs that have nothing but free slots. Each function purges about `most` pages,
 * of slabs first found to have free pages `age_ms` ago or earlier, and returns how many. No lock is held. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct heap;

/* Pages that one pass purges: some 100 microseconds. */
#define PASS_PAGES 384u

/* A page is purged when it has been found free twice, half the decay time apart. This is that half. */
uint64_t page_purge_age_ms(void);

/* Pages of a heap's slabs. Takes the lock anew for each slab, does not wait for it, and examines a limited number. */
unsigned page_purge_heap(struct heap *heap, uint64_t now_ms, uint64_t age_ms, unsigned most);

/* Pages of the abandoned slabs of a class. */
unsigned page_purge_abandoned(unsigned size_class, uint64_t now_ms, uint64_t age_ms, unsigned most);

/* What one pass does: pages of the heap's own slabs, and of the abandoned ones of one class. */
void page_purge_aged(struct heap *heap, uint64_t now_ms);

/* Pages of other heaps, in turn, whatever their age: either of idle ones, or of those that are not. */
unsigned page_purge_others(const struct heap *mine, uint64_t now_ms, bool idle, unsigned most);

/* All free pages of all slabs. Returns how many. */
size_t page_purge_all(void);
