#include "magazine_budget.h"

#include "base/bits.h"
#include "engine/slabs/slab.h"
#include "heap.h"
#include "os/os.h"

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

void magazine_budget_set(void) {
    size_t most = max_size(BUDGET_HEAP * atomic_load_explicit(&heaps.in_use, memory_order_relaxed),
                           slabs_present() * OS_PAGE / BUDGET_SHARE);
    const size_t limit = atomic_load_explicit(&heaps.magazine_limit, memory_order_relaxed);
    atomic_store_explicit(&heaps.magazine_most, min_size(max_size(most, MAGAZINES_MIN), limit), memory_order_relaxed);
}

void magazine_budget_ask_limit(void) {
    atomic_store_explicit(&heaps.magazine_limit, os_memory_allowed() / BUDGET_LIMIT_SHARE, memory_order_relaxed);
    magazine_budget_set();
}

unsigned magazine_budget_first(unsigned size_class) {
    const size_t blocks = size_class_slot(size_class, OS_PAGE);
    return (unsigned)max_size(min_size(blocks, FIRST_MOST), 1);
}

size_t magazine_budget_cost(unsigned size_class, unsigned capacity) {
    const size_t size = size_classes[size_class].size;
    const unsigned few = (unsigned)min_size(capacity, MAGAZINE_SLOTS - 1);
    const unsigned first = (unsigned)min_size(few, magazine_budget_first(size_class));
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

bool magazine_budget_pay(struct heap *heap, size_t cost, bool reserved) {
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

/* Relaxed: only a bound. Draws would fail one after the other, so the budget is looked at once. */
bool magazine_budget_is_spent(const struct heap *heap) {
    const size_t most = atomic_load_explicit(&heaps.magazine_most, memory_order_relaxed);
    return heap->magazine_cost + COST_MORE_MIN > MAGAZINE_FREE + heap->magazine_drawn &&
           atomic_load_explicit(&heaps.magazine_drawn, memory_order_relaxed) + DRAW_STEP > most - most / RESERVED_SHARE;
}

void magazine_budget_refund(struct heap *heap, size_t cost) {
    heap->magazine_cost -= cost;
    if (heap->magazine_drawn + MAGAZINE_FREE >= heap->magazine_cost + 4 * DRAW_STEP) {
        magazine_budget_return(heap);
    }
}

void magazine_budget_return(struct heap *heap) {
    size_t beyond = heap->magazine_cost > MAGAZINE_FREE ? heap->magazine_cost - MAGAZINE_FREE : 0;
    size_t kept = round_up(beyond, DRAW_STEP);
    if (heap->magazine_drawn > kept) {
        atomic_fetch_sub_explicit(&heaps.magazine_drawn, heap->magazine_drawn - kept, memory_order_relaxed);
        heap->magazine_drawn = kept;
    }
}
