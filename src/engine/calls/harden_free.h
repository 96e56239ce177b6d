/* harden_free.h - free in the hardened modes (harden.h). Functions for short blocks call others only as the last thing,
 * so they need not save registers. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "engine/modes/harden.h"
#include "fast_path.h"

/* With harden=light: frees a block in the window that is not a short one of the heap's own; `size_class` is
 * fast_class(). With harden=full: any block in the window. */
void harden_free_longer(void *block, struct heap *heap, size_t size_class, uint64_t granule, const char *operation);
void harden_free_full(void *block, struct heap *heap, uint64_t granule, const char *operation);

/* In both modes: a block that the heap believes to be outside the window. */
void harden_free_outside(void *block, const char *operation);

/* A large block whose pages now belong to another block: nothing is left to check. */
void harden_free_moved(const char *operation, void *block);

/* With harden=light: puts a cleared own block into its magazine, if that seems to be full. */
void harden_put_at_end(void *block, struct heap *heap, size_t size_class);

ALWAYS_INLINE void harden_put(struct heap *heap, size_t size_class, void *block) {
    if (UNLIKELY(magazine_ends_at(heap->tops[size_class] + 1))) {
        harden_put_at_end(block, heap, size_class);
    } else {
        hardened_push(heap, size_class, block);
    }
}

/* With harden=light: frees a block in the window. */
ALWAYS_INLINE void harden_free_light(void *block, struct heap *heap, uint64_t granule, const char *operation) {
    const size_t size_class = fast_class(heap, block);
    if (UNLIKELY(size_class >= SHORT_CLASSES)) {
        harden_free_longer(block, heap, size_class, granule, operation);
        return;
    }
    if (UNLIKELY(!fast_live_end(heap, block, granule))) {
        fault_report(operation, block);
        return;
    }
    zero_write_short(block, size_class * GRANULE);
    harden_put(heap, size_class, block);
}
