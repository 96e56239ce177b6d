/* harden_alloc.h - malloc and aligned_alloc of hardened blocks: with light if the magazine is empty, with full
 * always. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/compiler.h"
#include "engine/engine.h"
#include "engine/heaps/heap.h"
#include "engine/modes/harden.h"
#include "fast_path.h"
#include "supply.h"
#include "supply_big.h"

/* The magazine that malloc's fast path looks at is empty; `heap` may be NULL. Takes no size class: since the caller
 * looked it up, the engine may have started and set up the classes. */
void *harden_alloc(struct heap *heap, size_t size);

/* With harden=full, of any size. */
void *harden_alloc_full(struct heap *heap, size_t size, enum origin origin);

/* Beyond the slabs: from what the heap keeps, or by supply(). `heap` may be NULL. */
void *harden_alloc_big(supply_function *supply, struct heap *heap, size_t size, size_t alignment, bool *zero,
                       enum origin origin);

/* The same by a function of this kind. */
void *harden_alloc_beyond(size_t size, enum origin origin);

/* For an alignment above GRANULE. */
void *harden_alloc_aligned(size_t alignment, size_t size, enum origin origin);

/* With harden=full: begins a block in a slot that has just become live; takes a step of a sweep before a block is
 * handed out; hands out a block at a beat. */
void *harden_alloc_begin(struct heap *heap, void *block, size_t size, size_t alignment, enum origin origin);
void *harden_alloc_swept(struct heap *heap, void *block, size_t size, size_t alignment, enum origin origin);
void *harden_alloc_beat(void *block, size_t size, size_t alignment, enum origin origin);

/* With harden=full: a step of a sweep and a beat, if due. */
ALWAYS_INLINE void *harden_alloc_end(struct heap *heap, void *block, size_t size, size_t alignment,
                                     enum origin origin) {
    if (UNLIKELY(--heap->until_sweep == 0)) {
        return harden_alloc_swept(heap, block, size, alignment, origin);
    }
    return LIKELY(!heap_count(heap, size)) ? block : harden_alloc_beat(block, size, alignment, origin);
}

/* With harden=full: a short block, if the magazine has one; otherwise, and in other modes, calls slow(size, origin).
 * Calls others only as the last thing, so it need not save registers. */
ALWAYS_INLINE void *harden_alloc_short_or(size_t size, enum origin origin,
                                          void *(*slow)(size_t size, enum origin origin)) {
    const size_t size_class = size / GRANULE; /* at least a byte is left */
    if (UNLIKELY(size == 0 || size_class >= SHORT_CLASSES)) {
        return slow(size, origin);
    }
    struct heap *heap = heap_mine;
    void **top = heap->tops[HARDENED + size_class];
    void *block = *top;
    if (UNLIKELY(block == NULL)) {
        return slow(size, origin);
    }
    heap->tops[HARDENED + size_class] = top - 1;
    /* The next call reads both ends of it, and it was freed long ago. */
    PREFETCH(top[-1]);
    PREFETCH((char *)top[-1] + size);
    fast_live_begin(heap, block);
    const struct slot slot = harden_slot_short(heap, block, size_class);
    if (UNLIKELY(!zero_intact(slot.start, slot.room))) {
        return harden_alloc_begin(heap, block, size, 1, origin);
    }
    const size_t slack = slot.room - size;
    canary_write_zero_short(slot.start, slack, slot.room);
    record_store(&slot, record_of_slack(slack, origin));
    return harden_alloc_end(heap, block, size, 1, origin);
}
