/* fast_path.h - malloc and free when nothing must be refilled, flushed, created or reported. The entry points include
 * it, so a call is one function deep: no atomic read-modify-write, no lock, no write to the block. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/bits.h"
#include "base/compiler.h"
#include "engine/heaps/heap.h"
#include "engine/heaps/magazine.h"
#include "engine/reports/fault_report.h"
#include "engine/tables/live_map.h"
#include "engine/tables/page_map.h"
#include "engine/tables/size_class.h"

/* A size beyond the classes, an empty magazine, or a thread without a heap. */
void *alloc_slow(size_t size);

/* For a block in the window that is not in the heap's own slabs. `differing` is its page map entry XOR the heap's
 * tag. */
void free_foreign(void *block, struct heap *heap, size_t differing);

/* For NULL, a block that the heap believes to be outside the window, or an address that is no block; with harden=light
 * and full, for all. */
void free_elsewhere(void *block, struct heap *heap, uint64_t granule, const char *operation);

/* For a block about to be handed out when the heap has a beat (heap_count); always for a large or huge one. Returns the
 * block, or a sample in its place. */
void *alloc_beat(void *block, size_t size, size_t alignment);

/* A fault: the block was freed and is not live. */
void free_fault(void *block);

/* A fault that always ends the program: the block about to be handed out was freed twice. */
_Noreturn void alloc_fault(void *block);

/* A block in the heap's own slabs whose magazine, tops[top], is full or was never made. */
void free_overflow(void *block, size_t top, struct heap *heap);

/* Most words have no remote bit set, which word_is_zero finds with one comparison. */
ALWAYS_INLINE bool fast_is_remote(const struct live_word *word, uint64_t granule) {
    return bit_is_set(atomic_load_explicit(&word->remote, memory_order_acquire), granule);
}

ALWAYS_INLINE struct live_word *fast_live_word(const struct heap *heap, const void *block) {
    return (struct live_word *)(heap->live_of_zero + (uintptr_t)block / LIVE_WORD_BYTES * sizeof(struct live_word));
}

/* The class of a block of the heap's own slabs; above all classes for another block in the window. The entry's address
 * follows in one step, because free waits for it. */
ALWAYS_INLINE uint32_t fast_class(const struct heap *heap, const void *block) {
    _Atomic uint32_t *entry = (_Atomic uint32_t *)(heap->entry_of_zero + (uintptr_t)block / UNIT * sizeof *entry);
    return atomic_load_explicit(entry, memory_order_relaxed) ^ heap->tag;
}

/* If a cached block's remote bit is set, it was freed twice at the same moment, here and by another thread, and would
 * get a second user when that free is collected. */
ALWAYS_INLINE void fast_live_begin(struct heap *heap, void *block) {
    uint64_t granule = (uintptr_t)block >> GRANULE_SHIFT;
    struct live_word *word = fast_live_word(heap, block);
    if (UNLIKELY(!word_is_zero(&word->remote) && fast_is_remote(word, granule))) {
        alloc_fault(block);
    }
    uint64_t live = atomic_load_explicit(&word->live, memory_order_relaxed);
    bit_set(&live, granule);
    atomic_store_explicit(&word->live, live, memory_order_relaxed);
}

/* A block of a class from the magazine of the calling thread's heap; NULL if it is empty. The class is as wide as an
 * address: a narrower one would be copied, because its sum with DEFERRED wraps. */
ALWAYS_INLINE void *fast_pop(struct heap *heap, size_t size_class) {
    void **top = heap->tops[size_class];
    void *block = *top;
    if (LIKELY(block != NULL)) {
        heap->tops[size_class] = top - 1;
        fast_live_begin(heap, block);
        return block;
    }
    top = heap->tops[size_class + DEFERRED];
    block = *top;
    if (LIKELY(block != NULL)) {
        heap->tops[size_class + DEFERRED] = top - 1;
    }
    return block;
}

/* Calls slow(size) if no block is ready. */
ALWAYS_INLINE void *fast_alloc_or(size_t size, void *(*slow)(size_t size)) {
    if (UNLIKELY(size > SMALL_MAX)) {
        return slow(size);
    }
    struct heap *heap = heap_mine;
    void *block = fast_pop(heap, size_class_of(size));
    if (UNLIKELY(block == NULL)) {
        return slow(size);
    }
    return LIKELY(!heap_count(heap, size)) ? block : alloc_beat(block, size, 1);
}

ALWAYS_INLINE void *fast_alloc(size_t size) {
    return fast_alloc_or(size, alloc_slow);
}

/* Ends the life of a block of the heap's own slabs; false if it is not live. Only the granule's lowest bits matter, so
 * it may be counted from anywhere. The loads are those of live_test: if the block has been freed already, another
 * thread may destroy the slab and settle the block. */
ALWAYS_INLINE bool fast_live_end(struct heap *heap, const void *block, uint64_t granule) {
    struct live_word *word = fast_live_word(heap, block);
    if (UNLIKELY(!word_is_zero(&word->remote) && fast_is_remote(word, granule))) {
        return false;
    }
    uint64_t live = atomic_load_explicit(&word->live, memory_order_relaxed);
    if (UNLIKELY(!bit_take(&live, granule))) {
        return false;
    }
    atomic_store_explicit(&word->live, live, memory_order_relaxed);
    return true;
}

/* One rotation and one comparison check that the pointer is aligned and in the window: low bits of a misaligned one
 * become high bits of the granule. */
ALWAYS_INLINE void fast_free(const char *operation, void *block) {
    struct heap *heap = heap_mine;
    uint64_t granule = rotate_right((uintptr_t)block - heap->base, GRANULE_SHIFT);
    if (UNLIKELY(granule >= heap->granules[HARDEN_OFF])) {
        free_elsewhere(block, heap, granule, operation);
        return;
    }
    size_t size_class = fast_class(heap, block);
    if (LIKELY(size_class < SIZE_CLASSES)) {
        if (UNLIKELY(!fast_live_end(heap, block, granule))) {
            free_fault(block);
            return;
        }
    } else if (size_class - DEFERRED >= SIZE_CLASSES) {
        free_foreign(block, heap, size_class);
        return;
    }
    void **top = heap->tops[size_class] + 1;
    if (UNLIKELY(magazine_ends_at(top))) {
        free_overflow(block, size_class, heap);
        return;
    }
    *top = block;
    heap->tops[size_class] = top;
}

/* Frees a live block of the heap's own slabs with the class of `size`, if the magazine has room and frees are checked
 * at the call. Otherwise false, with nothing changed: engine_free_sized must do it. */
ALWAYS_INLINE bool fast_free_sized(void *block, size_t size) {
    struct heap *heap = heap_mine;
    uint64_t granule = rotate_right((uintptr_t)block - heap->base, GRANULE_SHIFT);
    if (UNLIKELY(granule >= heap->granules[HARDEN_OFF] || size > SMALL_MAX)) {
        return false;
    }
    /* Looking up the magazine need not wait for the page map. */
    const size_t size_class = size_class_of(size);
    if (UNLIKELY(fast_class(heap, block) != size_class)) {
        return false;
    }
    void **top = heap->tops[size_class] + 1;
    if (UNLIKELY(magazine_ends_at(top) || !fast_live_end(heap, block, granule))) {
        return false;
    }
    *top = block;
    heap->tops[size_class] = top;
    return true;
}
