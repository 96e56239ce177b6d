#include "magazine.h"

#include <string.h>

#include "base/bits.h"
#include "base/compiler.h"
#include "engine/tables/live_map.h"
#include "engine/tables/metadata.h"
#include "heap.h"
#include "magazine_budget.h"

/* A magazine's initial capacity. It doubles when it proves too small, so a thread that does little keeps little. A
 * thread probably does what the one did that had the heap before: its magazines begin with half of what those grew
 * to. */
#define CAPACITY_START 8u

static unsigned smaller(unsigned a, unsigned b) {
    return a < b ? a : b;
}

/* Statistics also call it for other threads' heaps, whose plain words may be changing (atomics would cost each malloc
 * and free an instruction or two): each word is read whole, and an impossible count counts as none. */
RACY_READER unsigned magazine_count(const struct heap *heap, unsigned size_class) {
    void **bottom = heap->bottoms[size_class];
    ptrdiff_t count = bottom != NULL ? heap->tops[heap->mode_offset + size_class] - bottom : 0;
    return count >= 0 && count <= (ptrdiff_t)MAGAZINE_MAX ? (unsigned)count : 0;
}

unsigned magazine_capacity(const struct heap *heap, unsigned size_class) {
    void **bottom = heap->bottoms[size_class];
    return bottom != NULL ? (unsigned)(magazine_end(bottom, heap->classes[size_class].slots) - bottom) - 1 : 0;
}

bool magazine_has_room(const struct heap *heap, unsigned size_class) {
    void **bottom = heap->bottoms[size_class];
    return bottom != NULL &&
           heap->tops[heap->mode_offset + size_class] + 1 != magazine_end(bottom, heap->classes[size_class].slots);
}

size_t magazine_cost(const struct heap *heap, unsigned size_class) {
    return magazine_budget_cost(size_class, magazine_capacity(heap, size_class));
}

void magazine_install(struct heap *heap, unsigned size_class, void **bottom, unsigned slots, unsigned count) {
    *bottom = NULL;
    heap->bottoms[size_class] = bottom;
    heap->classes[size_class].slots = (uint16_t)slots;
    heap->tops[heap->mode_offset + size_class] = bottom + count;
}

/* Moves the blocks of the heap's magazine of a class, if it has one, into a magazine with this capacity. */
static bool resize(struct heap *heap, unsigned size_class, unsigned capacity) {
    void **old = heap->bottoms[size_class];
    const unsigned slots = magazine_slots(capacity);
    const unsigned old_slots = heap->classes[size_class].slots;
    const bool moves = old == NULL || slots != old_slots;
    void **start = moves ? metadata_alloc(slots * sizeof *start) : magazine_start(old, slots);
    if (start == NULL) {
        return false;
    }
    void **bottom = start + (slots - 1 - capacity);
    const unsigned count = magazine_count(heap, size_class);
    if (old != NULL) {
        memmove(bottom + 1, old + 1, count * sizeof *bottom);
    }
    magazine_install(heap, size_class, bottom, slots, count);
    if (moves && old != NULL) {
        metadata_free(magazine_start(old, old_slots), old_slots * sizeof *old);
    }
    return true;
}

/* Of larger blocks only so far that the next thread's first refill takes no more than fit on a page. */
void magazine_note_grown(struct heap *heap, unsigned size_class) {
    const unsigned most = 4 * size_class_slot(size_class, OS_PAGE);
    unsigned capacity = smaller(magazine_capacity(heap, size_class), most);
    unsigned grown = 0;
    for (; capacity > CAPACITY_START; capacity /= 2) {
        grown++;
    }
    heap->classes[size_class].grown = smaller(grown, MAGAZINE_GROWN_MAX) & MAGAZINE_GROWN_MAX;
}

/* The capacity after this one. One slot of each magazine's memory is the bottom. */
static unsigned next_capacity(const struct heap *heap, unsigned size_class, unsigned capacity) {
    if (capacity == 0) {
        const unsigned grown = heap->classes[size_class].grown;
        return CAPACITY_START << (grown != 0 ? grown - 1 : 0);
    }
    return capacity < MAGAZINE_SLOTS - 1 ? smaller(2 * capacity, MAGAZINE_SLOTS - 1) : 2 * capacity + 1;
}

bool magazine_busy(const struct heap *heap, unsigned size_class) {
    return heap->classes[size_class].refills == REFILLS_BEFORE_BUSY;
}

/* The largest capacity of the heap's magazine of a class. */
static unsigned most_of(const struct heap *heap, unsigned size_class) {
    const struct size_class *of = &size_classes[size_class];
    const bool bounded = of->size > MAGAZINE_BYTES / MAGAZINE_BUSY && !magazine_busy(heap, size_class);
    return bounded ? (unsigned)(MAGAZINE_BYTES / of->size) : of->magazine;
}

/* Given its capacity, which is not the largest. */
static bool is_short(const struct heap *heap, unsigned size_class, unsigned capacity) {
    return capacity >= magazine_budget_first(size_class) && magazine_budget_is_spent(heap);
}

bool magazine_is_short(const struct heap *heap, unsigned size_class) {
    const unsigned capacity = magazine_capacity(heap, size_class);
    return capacity < most_of(heap, size_class) && is_short(heap, size_class, capacity);
}

bool magazine_grow(struct heap *heap, unsigned size_class) {
    const unsigned capacity = magazine_capacity(heap, size_class);
    const unsigned most = most_of(heap, size_class);
    if (capacity >= most || is_short(heap, size_class, capacity)) {
        return false;
    }
    const size_t cost = magazine_budget_cost(size_class, capacity);
    unsigned by = smaller(next_capacity(heap, size_class, capacity), most) - capacity;
    while (by != 0 && !magazine_budget_pay(heap, magazine_budget_cost(size_class, capacity + by) - cost,
                                           capacity + by <= magazine_budget_first(size_class))) {
        by /= 2;
    }
    if (by != 0 && !resize(heap, size_class, capacity + by)) {
        magazine_budget_refund(heap, magazine_budget_cost(size_class, capacity + by) - cost);
        return false;
    }
    return by != 0;
}

void magazine_shrink(struct heap *heap, unsigned size_class) {
    const size_t cost = magazine_cost(heap, size_class);
    const unsigned capacity = magazine_capacity(heap, size_class);
    const unsigned rest = capacity / 2;
    if (rest != 0 && magazine_count(heap, size_class) <= rest && resize(heap, size_class, rest)) {
        magazine_budget_refund(heap, cost - magazine_budget_cost(size_class, rest));
    }
}

unsigned magazine_prove(void *const *blocks, unsigned count) {
    for (unsigned i = 0; i < count; i++) {
        if (UNLIKELY(!live_end(blocks[i]))) {
            live_suspect(blocks[i]);
            return i;
        }
    }
    return count;
}

void magazine_dispose(struct heap *heap, unsigned size_class) {
    void **bottom = heap->bottoms[size_class];
    if (bottom != NULL) {
        const unsigned slots = heap->classes[size_class].slots;
        magazine_budget_refund(heap, magazine_cost(heap, size_class));
        metadata_free(magazine_start(bottom, slots), slots * sizeof *bottom);
        heap->bottoms[size_class] = NULL;
        heap->tops[heap->mode_offset + size_class] = MAGAZINE_NONE;
    }
}
