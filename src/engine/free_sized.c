/*
 * free_sized.c - frees that say how large the block is: sized delete, free_sized, free_aligned_sized.
 */
#include <stdint.h>

#include "base/compiler.h"
#include "engine.h"
#include "fault_report.h"
#include "huge.h"
#include "large.h"
#include "lookup.h"
#include "realloc.h"
#include "root.h"

/*
 * Whether a live block can have come from a request of this size, its last one. Large and huge blocks know it. A slot
 * may be in a much larger class if it was aligned; otherwise it is in its own, or one that realloc left it in. What
 * realloc had no memory to move may be anything larger.
 */
static bool size_fits(const struct block *block, void *start, size_t size, size_t alignment) {
    if (atomic_load_explicit(&mems_root.kept, memory_order_relaxed) != 0) {
        return size <= block->size;
    }
    switch (block->kind) {
    case BLOCK_LARGE:
        return (size != 0 ? size : 1) == large_requested(large_of(start));
    case BLOCK_HUGE:
        return size == huge_requested(start);
    default:
        return size <= block->size &&
               (alignment > GRANULE || size > realloc_keeps_from(block->size) || class_fits(size, block->size_class));
    }
}

void engine_free_sized(const char *operation, void *block, size_t size, size_t alignment) {
    if (block == NULL) {
        return;
    }
    unsigned size_class = lookup_slot_class(block);
    if (LIKELY(size_class < SIZE_CLASSES && alignment <= GRANULE && size <= SMALL_MAX &&
               size_class_of(size) == size_class)) {
        engine_free(block);
        return;
    }
    struct block checked = fault_unless_live(operation, block);
    bool aligned = alignment == 0 || (uintptr_t)block % alignment == 0;
    if (UNLIKELY(!aligned || !size_fits(&checked, block, size, alignment))) {
        fault_report_size(operation, block, size);
    }
    engine_free(block);
}
