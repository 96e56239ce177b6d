/*
 * free_sized.c - frees that say how large the block is: sized delete, free_sized, free_aligned_sized.
 */
#include <stdint.h>

#include "base/compiler.h"
#include "engine.h"
#include "fault_report.h"
#include "lookup.h"
#include "realloc.h"
#include "root.h"

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
    /* Whatever was aligned may lie in a much larger class; otherwise its own, or one that realloc left it in: which may
     * be any, where memory had run out. */
    bool fits = size <= checked.size && (alignment == 0 || (uintptr_t)block % alignment == 0);
    bool any = atomic_load_explicit(&mems_root.kept, memory_order_relaxed) != 0;
    if (!any && alignment <= GRANULE && checked.kind == BLOCK_SLOT && size <= realloc_keeps_from(checked.size)) {
        fits = fits && class_fits(size, checked.size_class);
    }
    if (UNLIKELY(!fits)) {
        fault_report_size(operation, block, size);
    }
    engine_free(block);
}
