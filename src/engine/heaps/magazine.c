#include "magazine.h"

#include <string.h>

#include "base/bits.h"
#include "base/compiler.h"
#include "engine/slabs/slab.h"
#include "engine/tables/live_map.h"
#include "engine/tables/metadata.h"
#include "heap.h"
#include "os/os.h"

/* A magazine's initial capacity. It doubles whenever it proves too small, so a thread that does little keeps little. */
#define CAPACITY_START 8u

/* A cached block keeps its whole page resident unless others on the page are live, so small blocks cost more than their
 * bytes, but less than a page, because neighbours are mostly cached together. */
#define COST_MIN 1024u
#define COST_MORE_MIN 256u /* for those beyond a small magazine: the more are cached, the more are neighbours */

/* The budget of all magazines: this fraction of what slabs hold, and this much for each heap in use; but at most
 * this fraction of the memory that the process may have, if that is known. */
#define BUDGET_SHARE 8u
#define BUDGET_HEAP ((size_t)32 << 10)
#define BUDGET_LIMIT_SHARE 32u

/* This fraction of the budget is for the first blocks of each class: without any, each call takes the heap's lock. */
#define RESERVED_SHARE 4u

/* The first blocks of a class: as many as fit on a page, but at most FIRST_MOST. They are neighbours, and any one of
 * them keeps its page resident, so they cost as much as one. */
#define FIRST_MOST 16u

/* A heap draws on the budget in these steps, so that most draws need no atomic operation. */
#define DRAW_STEP ((size_t)16 << 10)

static unsigned smaller(unsigned a, unsigned b) {
    return a < b ? a : b;
}

void magazines_set_budget(void) {
    size_t most = max_size(BUDGET_HEAP * atomic_load_explicit(&heaps.in_use, memory_order_relaxed),
                           slabs_present() * OS_PAGE / BUDGET_SHARE);
    const size_t limit = atomic_load_explicit(&heaps.magazine_limit, memory_order_relaxed);
    atomic_store_explicit(&heaps.magazine_most, min_size(max_size(most, MAGAZINES_MIN), limit), memory_order_relaxed);
}

void magazines_ask_limit(void) {
    atomic_store_explicit(&heaps.magazine_limit, os_memory_allowed() / BUDGET_LIMIT_SHARE, memory_order_relaxed);
    magazines_set_budget();
}

static unsigned first_blocks(unsigned size_class) {
    const size_t blocks = OS_PAGE / size_classes[size_class].size;
    return (unsigned)max_size(min_size(blocks, FIRST_MOST), 1);
}

/* The cost of `capacity` blocks of a class. */
static size_t cost_of(unsigned size_class, unsigned capacity) {
    const size_t size = size_classes[size_class].size;
    const unsigned few = smaller(capacity, MAGAZINE_SLOTS - 1);
    const unsigned first = smaller(few, first_blocks(size_class));
    return ((first != 0) + few - first) * max_size(size, COST_MIN) + (capacity - few) * max_size(size, COST_MORE_MIN);
}

/* Draws if all heaps then have drawn at most `most`. Relaxed: only a bound. While the budget is used up, threads ask
 * repeatedly, so it is read before it is written. */
static bool draw(struct heap *heap, size_t bytes, size_t most) {
    if (atomic_load_explicit(&heaps.magazine_drawn, memory_order_relaxed) + bytes > most) {
        return false;
    }
    if (atomic_fetch_add_explicit(&heaps.magazine_drawn, bytes, memory_order_relaxed) + bytes > most) {
        atomic_fetch_sub_explicit(&heaps.magazine_drawn, bytes, memory_order_relaxed);
        return false;
    }
    heap->magazine_drawn += bytes;
    return true;
}

/* `reserved`: may use all of the budget. */
static bool pay(struct heap *heap, size_t cost, bool reserved) {
    const size_t most = atomic_load_explicit(&heaps.magazine_most, memory_order_relaxed);
    const size_t needed = heap->magazine_cost + cost;
    const size_t paid = MAGAZINE_FREE + heap->magazine_drawn;
    if (needed > paid && !draw(heap, round_up(needed - paid, DRAW_STEP), most - most / RESERVED_SHARE) &&
        !(reserved && draw(heap, needed - paid, most))) {
        return false;
    }
    heap->magazine_cost = needed;
    return true;
}

static void refund(struct heap *heap, size_t cost) {
    heap->magazine_cost -= cost;
    if (heap->magazine_drawn + MAGAZINE_FREE >= heap->magazine_cost + 4 * DRAW_STEP) {
        magazines_return(heap);
    }
}

void magazines_return(struct heap *heap) {
    size_t beyond = heap->magazine_cost > MAGAZINE_FREE ? heap->magazine_cost - MAGAZINE_FREE : 0;
    size_t kept = round_up(beyond, DRAW_STEP);
    if (heap->magazine_drawn > kept) {
        atomic_fetch_sub_explicit(&heaps.magazine_drawn, heap->magazine_drawn - kept, memory_order_relaxed);
        heap->magazine_drawn = kept;
    }
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
    return cost_of(size_class, magazine_capacity(heap, size_class));
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

/* The capacity after this one. One slot of each magazine's memory is the bottom. */
static unsigned next_capacity(unsigned capacity) {
    if (capacity == 0) {
        return CAPACITY_START;
    }
    return capacity < MAGAZINE_SLOTS - 1 ? smaller(2 * capacity, MAGAZINE_SLOTS - 1) : 2 * capacity + 1;
}

bool magazine_busy(const struct heap *heap, unsigned size_class) {
    return atomic_load_explicit(&heap->counters.class_refills[size_class], memory_order_relaxed) >= REFILLS_BEFORE_BUSY;
}

/* The largest capacity of the heap's magazine of a class. */
static unsigned most_of(const struct heap *heap, unsigned size_class) {
    const struct size_class *of = &size_classes[size_class];
    const bool bounded = of->size > MAGAZINE_BYTES / MAGAZINE_BUSY && !magazine_busy(heap, size_class);
    return bounded ? (unsigned)(MAGAZINE_BYTES / of->size) : of->magazine;
}

/* Relaxed: only a bound. Draws would fail one after the other, so the budget is looked at once. */
bool magazine_is_short(const struct heap *heap, unsigned size_class) {
    const unsigned capacity = magazine_capacity(heap, size_class);
    const size_t most = atomic_load_explicit(&heaps.magazine_most, memory_order_relaxed);
    return capacity >= first_blocks(size_class) && capacity < most_of(heap, size_class) &&
           heap->magazine_cost + COST_MORE_MIN > MAGAZINE_FREE + heap->magazine_drawn &&
           atomic_load_explicit(&heaps.magazine_drawn, memory_order_relaxed) + DRAW_STEP > most - most / RESERVED_SHARE;
}

bool magazine_grow(struct heap *heap, unsigned size_class) {
    if (magazine_is_short(heap, size_class)) {
        return false;
    }
    const unsigned capacity = magazine_capacity(heap, size_class);
    const unsigned most = most_of(heap, size_class);
    if (capacity >= most) {
        return false;
    }
    const size_t cost = cost_of(size_class, capacity);
    unsigned by = smaller(next_capacity(capacity), most) - capacity;
    while (by != 0 &&
           !pay(heap, cost_of(size_class, capacity + by) - cost, capacity + by <= first_blocks(size_class))) {
        by /= 2;
    }
    if (by != 0 && !resize(heap, size_class, capacity + by)) {
        refund(heap, cost_of(size_class, capacity + by) - cost);
        return false;
    }
    return by != 0;
}

void magazine_shrink(struct heap *heap, unsigned size_class) {
    const size_t cost = magazine_cost(heap, size_class);
    const unsigned capacity = magazine_capacity(heap, size_class);
    const unsigned rest = capacity / 2;
    if (rest != 0 && magazine_count(heap, size_class) <= rest && resize(heap, size_class, rest)) {
        refund(heap, cost - cost_of(size_class, rest));
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
        refund(heap, magazine_cost(heap, size_class));
        metadata_free(magazine_start(bottom, slots), slots * sizeof *bottom);
        heap->bottoms[size_class] = NULL;
        heap->tops[heap->mode_offset + size_class] = MAGAZINE_NONE;
    }
}
