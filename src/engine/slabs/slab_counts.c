/* slab_counts.c - how many slabs of a class there are, and roughly how many a heap has. */
#include "slab.h"

struct slab_counts slab_counts[SLAB_COUNT_ROWS][SIZE_CLASSES];

/* Of the heaps that have had slabs; it only grows (relaxed). */
static _Atomic uint32_t highest_id;

void slabs_note_heap(uint32_t id) {
    if (id == HEAP_ABANDONED) {
        return; /* no heap: a number beyond all of theirs */
    }
    uint32_t before = atomic_load_explicit(&highest_id, memory_order_relaxed);
    while (before < id && !atomic_compare_exchange_weak_explicit(&highest_id, &before, id, memory_order_relaxed,
                                                                 memory_order_relaxed)) {
        continue;
    }
}

/* A row may be below 0, because a slab that changes hands can leave another row than it entered. */
size_t slabs_of_heap(const struct slab *slab) {
    const size_t sharing = (atomic_load_explicit(&highest_id, memory_order_relaxed) - 1) / SLAB_COUNT_ROWS + 1;
    const size_t slabs = atomic_load_explicit(&slab_counts_of(slab)->slabs, memory_order_relaxed);
    return (ptrdiff_t)slabs > 0 ? slabs / sharing : 0;
}
