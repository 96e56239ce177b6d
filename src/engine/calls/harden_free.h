/* harden_free.h - free in the hardened modes (harden.h). Functions for short blocks call others only as the last thing,
 * so they need not save registers. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "engine/modes/harden.h"
#include "fast_path.h"

/* A block in the window: one of the heap's own that is not short, a short one with harden=full, or any other. */
void harden_free_other(void *block, struct heap *heap, size_t differing, uint64_t granule, const char *operation);

/* free_elsewhere in these modes. */
void harden_free_elsewhere(void *block, const char *operation);

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

/* free_foreign for a heap with hardened blocks. */
ALWAYS_INLINE void harden_free(void *block, struct heap *heap, size_t differing, uint64_t granule,
                               const char *operation) {
    const size_t size_class = OPAQUE(differing - OWN_LIGHT);
    if (UNLIKELY(size_class >= SHORT_CLASSES)) {
        harden_free_other(block, heap, differing, granule, operation);
        return;
    }
    if (UNLIKELY(!fast_live_end(heap, block, granule))) {
        fault_report(operation, block);
        return;
    }
    zero_write(block, size_class_room_short(size_class));
    harden_put(heap, size_class, block);
}
