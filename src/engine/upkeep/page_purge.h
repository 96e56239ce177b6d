/* page_purge.h - purges pages of slabs in which all slots are free. Each function purges about `most` pages, of slabs
 * found to have free pages at least `age_ms` ago, and returns how many. No lock is held. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct heap;

/* Pages that one pass purges at most. */
#define PASS_PAGES 384u

/* A page is purged when it was found free twice, half the decay time apart; this is that half. */
uint64_t page_purge_age_ms(void);

/* Pages of a heap's slabs. Takes the lock for each slab without waiting, and examines at most PASS_SLABS slabs. */
unsigned page_purge_heap(struct heap *heap, uint64_t now_ms, uint64_t age_ms, unsigned most);

/* Pages of the abandoned slabs of a class. */
unsigned page_purge_abandoned(unsigned size_class, uint64_t now_ms, uint64_t age_ms, unsigned most);

/* What a pass purges: pages of the heap's own slabs, and of the abandoned slabs of one class, in turn. */
void page_purge_aged(struct heap *heap, uint64_t now_ms);

/* Pages of other heaps, in turn, whatever their age: of idle ones, or of those that are not. */
unsigned page_purge_others(const struct heap *mine, uint64_t now_ms, bool idle, unsigned most);

/* All free pages of all slabs. Returns how many. */
size_t page_purge_all(void);
