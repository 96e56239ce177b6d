/* engine_locked.h - what tests do to an engine heap under its lock, as the engine would. */
#pragma once

#include "check.h"
#include "engine/heaps/cached_blocks.h"
#include "engine/heaps/heap.h"
#include "engine/heaps/magazine.h"
#include "engine/heaps/remote.h"
#include "engine/heaps/thread.h"
#include "engine/root/root.h"

/* Gives the calling thread a new, empty heap. */
static inline struct heap *begin_heap(void) {
    CHECK(root_start());
    struct heap *heap = thread_begin();
    CHECK(heap != NULL && heap == heap_mine);
    return heap;
}

/* The calling thread's magazines and depot go back to the slabs. */
static inline void flush_mine(void) {
    lock_take(&heap_mine->lock);
    cached_flush(heap_mine);
    lock_give(&heap_mine->lock);
}

/* The same, and frees the magazines. */
static inline void dispose_mine(void) {
    lock_take(&heap_mine->lock);
    cached_flush(heap_mine);
    for (unsigned size_class = 0; size_class < SIZE_CLASSES; size_class++) {
        magazine_dispose(heap_mine, size_class);
    }
    lock_give(&heap_mine->lock);
}

static inline bool refill_mine(unsigned size_class) {
    lock_take(&heap_mine->lock);
    bool filled = cached_refill(heap_mine, size_class);
    lock_give(&heap_mine->lock);
    return filled;
}

/* Collects up to `units` units of a heap's inbox, as its thread (`writer`) or another; returns whether there are
 * more. */
static inline bool collect(struct heap *heap, size_t units, bool writer) {
    lock_take(&heap->lock);
    bool more = inbox_collect(heap, units, writer);
    lock_give(&heap->lock);
    return more;
}

static inline uint32_t link_of_unit(size_t unit) {
    return atomic_load(&window.inbox_links[unit]);
}

/* Units in an inbox or a backlog. */
static inline size_t chain_length(uint32_t head) {
    size_t length = 0;
    for (; head != 0 && head != INBOX_CLOSED; head = link_of_unit(head - 1) & ~LINK_SET) {
        length++;
    }
    return length;
}

/* Units of a class that wait to be collected. */
static inline size_t ring_length(const struct heap *heap, unsigned size_class) {
    uint32_t last = heap->classes[size_class].ring;
    size_t length = 0;
    for (uint32_t at = last; at != 0 && (at != last || length == 0); at = link_of_unit(at - 1) & ~LINK_SET) {
        length++;
    }
    return length;
}

/* Units that have left a heap's inbox and wait to be collected. */
static inline size_t waiting_length(const struct heap *heap) {
    size_t length = chain_length(heap->backlog);
    for (unsigned size_class = 0; size_class < SIZE_CLASSES; size_class++) {
        length += ring_length(heap, size_class);
    }
    return length;
}

/* Units that wait to be collected by or for a heap. */
static inline size_t inbox_length(const struct heap *heap) {
    return chain_length(atomic_load(&heap->inbox)) + waiting_length(heap);
}
