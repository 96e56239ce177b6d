/*
 * fast_path.h - malloc and free where nothing has to be refilled, flushed, made or reported.
 *
 * Included where the two are entry points (alloc.c, free.c, and the library's malloc and free themselves), so that a
 * call is one function deep. No atomic read-modify-write, no lock, no write to the block.
 */
#ifndef MEMS_ENGINE_FAST_PATH_H
#define MEMS_ENGINE_FAST_PATH_H

#include <stddef.h>
#include <stdint.h>

#include "base/bits.h"
#include "base/compiler.h"
#include "fault_report.h"
#include "heap.h"
#include "live_map.h"
#include "magazine.h"
#include "page_map.h"
#include "size_class.h"

/* A size beyond the classes, a magazine that is empty, or a thread without a heap. */
void *alloc_slow(size_t size);

/* A block in a unit of the window that is not of the heap's own slabs. */
void free_foreign(void *block);

/* NULL, a block outside the window as far as the heap knows, or no block at all. */
void free_elsewhere(void *block);

/* The block is about to be handed out, and the heap has a beat (heap_count). Returns it. */
void *alloc_beat(void *block);

/* A block that was freed and is not live: a fault. */
_Noreturn void free_fault(void *block);

/* A block of the heap's own whose magazine, tops[top], is full or was never made. */
void free_overflow(struct heap *heap, size_t top, void *block);

/* Whether a granule's remote bit is set. Most words have none at all, which word_is_zero tells by one comparison. */
ALWAYS_INLINE bool fast_is_remote(const struct live_word *word, uint64_t granule) {
    return bit_is_set(atomic_load_explicit(&word->remote, memory_order_acquire), granule);
}

/*
 * Begins the life of a block that was cached. Its remote bit must be clear: set, the block was freed twice at the same
 * moment, here and by another thread, and it would get a second user when that free is collected.
 */
ALWAYS_INLINE void fast_live_begin(struct heap *heap, void *block) {
    uint64_t granule = (uintptr_t)block >> GRANULE_SHIFT;
    struct live_word *word = (struct live_word *)(heap->live_of_zero + granule / LIVE_WORD_BITS * sizeof *word);
    if (UNLIKELY(!word_is_zero(&word->remote) && fast_is_remote(word, granule))) {
        free_fault(block);
    }
    uint64_t live = atomic_load_explicit(&word->live, memory_order_relaxed);
    bit_set(&live, granule);
    atomic_store_explicit(&word->live, live, memory_order_relaxed);
}

/* A block of a class from the magazine of the calling thread's heap; NULL where there is none. */
ALWAYS_INLINE void *fast_pop(struct heap *heap, unsigned size_class) {
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

/* A block for `size` bytes, by slow(size) where it has none at hand. */
ALWAYS_INLINE void *fast_alloc_or(size_t size, void *(*slow)(size_t size)) {
    if (UNLIKELY(size > SMALL_MAX)) {
        return slow(size);
    }
    struct heap *heap = heap_mine;
    void *block = fast_pop(heap, size_class_of(size));
    if (UNLIKELY(block == NULL)) {
        return slow(size);
    }
    return LIKELY(!heap_count(heap, size)) ? block : alloc_beat(block);
}

ALWAYS_INLINE void *fast_alloc(size_t size) {
    return fast_alloc_or(size, alloc_slow);
}

/* Ends the life of the block at a granule of the heap's own slabs; false when it is not live. The loads are those of
 * live_test: another thread may destroy the slab, and settle it, if the block has been freed already. */
ALWAYS_INLINE bool fast_live_end(struct heap *heap, uint64_t granule) {
    struct live_word *word = &heap->live_map[granule / LIVE_WORD_BITS];
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

/* One rotation and one comparison tell that the pointer is aligned and in the window: misaligned, its low bits make it
 * a granule beyond any window's. */
ALWAYS_INLINE void fast_free(void *block) {
    struct heap *heap = heap_mine;
    uint64_t granule = rotate_right((uintptr_t)block - heap->base, GRANULE_SHIFT);
    if (UNLIKELY(granule >= heap->granules)) {
        free_elsewhere(block);
        return;
    }
    _Atomic uint32_t *entry = &heap->page_map[granule >> (UNIT_SHIFT - GRANULE_SHIFT)];
    size_t size_class = atomic_load_explicit(entry, memory_order_relaxed) ^ heap->tag;
    if (LIKELY(size_class < SIZE_CLASSES)) {
        if (UNLIKELY(!fast_live_end(heap, granule))) {
            free_fault(block);
        }
    } else if (size_class - DEFERRED >= SIZE_CLASSES) {
        free_foreign(block);
        return;
    }
    void **top = heap->tops[size_class] + 1;
    if (UNLIKELY(magazine_ends_at(top))) {
        free_overflow(heap, size_class, block);
        return;
    }
    *top = block;
    heap->tops[size_class] = top;
}

/*
 * Frees a live block of the heap's own slabs whose class is that of `size`, if there is room for it at hand and each
 * free is checked at the call. False otherwise: nothing has changed, and engine_free_sized has to see to it.
 */
ALWAYS_INLINE bool fast_free_sized(void *block, size_t size) {
    struct heap *heap = heap_mine;
    uint64_t granule = rotate_right((uintptr_t)block - heap->base, GRANULE_SHIFT);
    if (UNLIKELY(granule >= heap->granules || size > SMALL_MAX)) {
        return false;
    }
    _Atomic uint32_t *entry = &heap->page_map[granule >> (UNIT_SHIFT - GRANULE_SHIFT)];
    uint32_t size_class = atomic_load_explicit(entry, memory_order_relaxed) ^ heap->tag;
    if (UNLIKELY(size_class != size_class_of(size))) {
        return false;
    }
    void **top = heap->tops[size_class] + 1;
    if (UNLIKELY(magazine_ends_at(top) || !fast_live_end(heap, granule))) {
        return false;
    }
    *top = block;
    heap->tops[size_class] = top;
    return true;
}

#endif
