/* free_sized.c - sized and aligned delete, free_sized, free_aligned_sized. */
#include <stdint.h>

#include "base/compiler.h"
#include "engine/engine.h"
#include "engine/heaps/heap.h"
#include "engine/memory/huge.h"
#include "engine/memory/large.h"
#include "engine/reports/fault_report.h"
#include "engine/root/root.h"
#include "engine/slabs/lookup.h"
#include "harden_resize.h"
#include "realloc.h"

/* Whether a live block may have been requested with this size. Large and huge blocks record it. A slot may be of the
 * size's class, or of a larger one in which realloc left the block; of any larger one if realloc had no memory to move
 * it; and of a much larger one if the block is aligned. */
static bool size_fits(const struct block *block, void *start, size_t size, size_t alignment) {
    if (atomic_load_explicit(&mems_root.kept, memory_order_relaxed) != 0) {
        return size <= block->size;
    }
    const size_t recorded = size != 0 ? size : 1;
    switch (block->kind) {
    case BLOCK_SAMPLE:
        return size == block->size;
    case BLOCK_LARGE:
        return recorded == large_requested(large_of(start));
    case BLOCK_HUGE:
        return recorded == huge_requested(start);
    default:
        return size <= block->size &&
               (alignment > GRANULE || size > realloc_keeps_from(block->size) || class_fits(size, block->size_class));
    }
}

void engine_free_sized(const char *operation, void *block, size_t size, size_t alignment) {
    if (block == NULL) {
        return;
    }
    if (UNLIKELY(heaps.harden == HARDEN_FULL)) {
        harden_free_sized(operation, block, size, alignment);
        return;
    }
    unsigned size_class = lookup_slot_class(block);
    if (LIKELY(size_class < SIZE_CLASSES && alignment <= GRANULE && size <= SMALL_MAX &&
               size_class_of(size) == size_class)) {
        engine_free_as(operation, block);
        return;
    }
    const bool aligned = alignment == 0 || (uintptr_t)block % alignment == 0;
    /* Most large blocks are freed with the size that was requested, which is quicker to look up than the block. */
    if (LIKELY(aligned && size != 0 && size == lookup_large_requested(block))) {
        engine_free_as(operation, block);
        return;
    }
    struct block checked = fault_unless_live(operation, block);
    if (UNLIKELY(checked.kind == BLOCK_OUTSIDE || !aligned || !size_fits(&checked, block, size, alignment))) {
        if (checked.kind != BLOCK_OUTSIDE) {
            fault_report_size(operation, block, size);
        }
        return;
    }
    engine_free_as(operation, block);
}

/* An alignment of 0 is none, as with libc++, whose operator new accepts it. */
static COLD void free_misaligned(const char *operation, void *block, size_t alignment) {
    if (alignment == 0) {
        engine_free_aligned(operation, block, GRANULE);
    } else if (fault_unless_live(operation, block).kind != BLOCK_OUTSIDE) {
        fault_report_alignment(operation, block, alignment, true);
    }
}

void engine_free_aligned(const char *operation, void *block, size_t alignment) {
    if (UNLIKELY(((uintptr_t)block & (alignment - 1)) != 0)) {
        free_misaligned(operation, block, alignment);
    } else if (UNLIKELY(heaps.harden == HARDEN_FULL)) {
        harden_free_aligned(operation, block, alignment);
    } else {
        engine_free_as(operation, block);
    }
}
