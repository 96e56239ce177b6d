#include "unused_heaps.h"

#include "base/bits.h"
#include "base/fault.h"
#include "hardened_larges.h"
#include "heap.h"
#include "os/os.h"

/* A call of upkeep makes this many heaps bare, each of which costs a system call, and as many again until BARING_US
 * have passed. So the memory of thousands of ended threads goes back soon even if a program does little. */
#define BARED_AT_ONCE 32u
#define BARING_US 1000u

void unused_heaps_start(void) {
    list_init(&heaps.unused);
    heaps.first_bare = &heaps.unused;
    heaps.full = 0;
    heaps.surplus = 0;
}

/* Takes a heap that is not bare off the list. */
static struct heap *take_full(struct list *link) {
    struct heap *heap = CONTAINER_OF(link, struct heap, link);
    ASSERT(!heap->bare);
    list_remove(link);
    heaps.full--;
    heaps.surplus = min_size(heaps.surplus, heaps.full);
    return heap;
}

struct heap *unused_heap_take(void) {
    struct list *first = heaps.unused.next;
    if (first != heaps.first_bare) {
        return take_full(first);
    }
    if (list_empty(&heaps.unused)) {
        return NULL;
    }
    heaps.first_bare = first->next;
    list_remove(first);
    return CONTAINER_OF(first, struct heap, link);
}

static void put_bare(struct heap *heap) {
    list_push_back(&heaps.unused, &heap->link);
    if (heaps.first_bare == &heaps.unused) {
        heaps.first_bare = &heap->link;
    }
}

void unused_heap_put(struct heap *heap) {
    if (heap->bare) {
        put_bare(heap);
    } else {
        list_push_front(&heaps.unused, &heap->link);
        heaps.full++;
    }
}

/* The one given back first, or NULL. Without the lock. */
static struct heap *take_oldest(void) {
    lock_take(&heaps.lock);
    struct list *oldest = heaps.first_bare->prev;
    struct heap *heap = heaps.full != 0 ? take_full(oldest) : NULL;
    lock_give(&heaps.lock);
    return heap;
}

/* From now on nobody uses the first members. Returns the bytes given back of large blocks. */
static size_t set_bare(struct heap *heap) {
    lock_take(&heap->lock);
    const size_t bytes = heap->hardened != NULL ? hardened_keep_addresses(heap) : 0;
    heap->bare = true;
    lock_give(&heap->lock);
    return bytes;
}

static size_t give_back(struct heap *heap) {
    const uintptr_t start = round_up((uintptr_t)heap, os_page_size());
    const uintptr_t end = round_down((uintptr_t)heap + HEAP_BARE_BYTES, os_page_size());
    return start < end && os_purge((void *)start, end - start) == 0 ? end - start : 0;
}

size_t unused_heaps_bare(size_t most) {
    size_t bytes = 0;
    for (struct heap *heap; most != 0 && (heap = take_oldest()) != NULL; most--) {
        bytes += set_bare(heap);
        bytes += give_back(heap);
        lock_take(&heaps.lock);
        put_bare(heap);
        lock_give(&heaps.lock);
    }
    return bytes;
}

/* How many were not needed in the period that ends; at most BARED_AT_ONCE, and the period goes on until no more are. */
static size_t end_period(uint64_t now_ms) {
    lock_take(&heaps.lock);
    const size_t count = min_size(heaps.surplus, BARED_AT_ONCE);
    heaps.surplus -= count;
    if (heaps.surplus == 0) {
        heaps.surplus = heaps.full - count;
        atomic_store_explicit(&heaps.period_ms, now_ms, memory_order_relaxed);
    }
    lock_give(&heaps.lock);
    return count;
}

static bool is_due(uint64_t now_ms) {
    return now_ms - atomic_load_explicit(&heaps.period_ms, memory_order_relaxed) >=
           atomic_load_explicit(&spans.decay_ms, memory_order_relaxed);
}

void unused_heaps_decay(uint64_t now_ms) {
    if (!is_due(now_ms)) {
        return;
    }
    const uint64_t start_us = os_fine_us();
    size_t count = 0;
    do {
        count = end_period(now_ms);
        unused_heaps_bare(count);
    } while (count == BARED_AT_ONCE && is_due(now_ms) && os_fine_us() - start_us < BARING_US);
}
