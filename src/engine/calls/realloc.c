/* realloc.c - resizes blocks, in place where it can (realloc_in_place), and tells their sizes. */
#include "realloc.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "alloc.h"
#include "engine/engine.h"
#include "engine/memory/huge.h"
#include "engine/memory/large.h"
#include "engine/memory/span_age.h"
#include "engine/modes/sampled_block.h"
#include "engine/reports/fault_report.h"
#include "harden_resize.h"
#include "move_pages.h"
#include "supply.h"

/* Cached large blocks that are flushed so that one can grow in place. */
#define FLUSHED_LARGES 64u

/* Whether a block of this class may stay in place at another size. */
static bool slot_fits(unsigned size_class, size_t size) {
    const size_t slot = size_classes[size_class].size;
    return size <= slot && (size > realloc_keeps_from(slot) || class_fits(size, size_class));
}

/* Where a big block moves. Its pages are moved, so that no block has its memory twice. But if the new place has pages,
 * and the process has needed more memory than it then would have, it is copied: these pages will probably be needed
 * again, and to drop them costs more than a copy. */
struct place {
    void *block;
    bool by_pages;
};

static struct place take_place(const struct block *old, size_t size) {
    struct place place = {0};
    bool fresh = false;
    if (size <= SMALL_MAX) {
        place.block = engine_alloc(size);
        return place;
    }
    const int saved = errno;
    const bool peaks = old->kind == BLOCK_HUGE || spans_would_peak(large_units(size));
    /* A growing large block stays in the window, so that its pages can move. */
    if (old->kind == BLOCK_LARGE && size > old->size && !window_is_claimed()) {
        place.block = alloc_grown(size, with_headroom(old->size, size), peaks, &fresh);
    }
    if (place.block == NULL) {
        errno = saved;
        place.block = alloc_big(size, 1, &fresh);
    }
    place.by_pages = fresh || peaks;
    return place;
}

static bool is_zero(const char *bytes, size_t size) {
    return *bytes == 0 && memcmp(bytes, bytes + 1, size - 1) == 0;
}

/* Skips pages that are zero in both places, so untouched ones stay untouched. */
static void copy_touched(char *to, const char *from, size_t bytes) {
    size_t copied = 0;
    for (size_t at = 0; at < bytes; at += OS_PAGE) {
        const size_t size = min_size(OS_PAGE, bytes - at);
        if (is_zero(from + at, size) && is_zero(to + at, size)) {
            memcpy(to + copied, from + copied, at - copied);
            copied = at + size;
        }
    }
    memcpy(to + copied, from + copied, bytes - copied);
}

/* Ends a block whose pages have moved. */
static void free_moved(void *block) {
    struct large *large = page_map_holds(block) ? large_end(block) : NULL;
    if (large == NULL) {
        engine_free(block);
        return;
    }
    if (UNLIKELY(large->arena != 0)) {
        heap_let_go(large);
    }
    heap_count_large(heap_mine, -(uint64_t)large_size(large));
    large_destroy_moved(large);
}

/* Moves a big block and frees the old one. `copies`: its pages must stay. */
static void *move_big(const struct block *old, size_t size, bool copies) {
    void *from = (void *)old->start;
    const size_t bytes = old->size < size ? old->size : size;
    for (;;) {
        const struct place place = take_place(old, size);
        void *to = place.block;
        if (to == NULL) {
            return NULL;
        }
        bool lost = false;
        if (place.by_pages && !copies && move_pages(from, to, bytes, &lost)) {
            free_moved(from);
            return to;
        }
        if (LIKELY(!lost)) {
            copy_touched(to, from, bytes);
            engine_free(from);
            return to;
        }
        heap_count_large(heap_mine, -(uint64_t)large_size(large_of(to)));
        large_lose(to);
        copies = true;
    }
}

static bool resize_counted(void *block, size_t size) {
    const uint64_t before = large_size(large_of(block));
    bool resized = large_resize(block, size);
    heap_count_large(heap_mine, large_size(large_of(block)) - before);
    return resized;
}

/* A cached block may lie behind the growing one. */
static bool resize_large(void *block, size_t size) {
    if (resize_counted(block, size)) {
        return true;
    }
    struct heap *heap = heap_mine;
    if (large_cache_count(&heap->larges) == 0) {
        return false;
    }
    lock_take(&heap->lock);
    large_cache_flush(&heap->larges, FLUSHED_LARGES);
    lock_give(&heap->lock);
    return resize_counted(block, size);
}

bool realloc_in_place(const struct block *block, size_t size) {
    if (block->kind == BLOCK_SLOT) {
        return slot_fits(block->size_class, size);
    }
    return block->kind == BLOCK_LARGE && size > SMALL_MAX && resize_large((void *)block->start, size);
}

/* A block that should shrink but cannot move is cut or stays, and errno stays too: shrinking never fails. */
static COLD void *shrink_in_place(const struct block *old, size_t size, int saved) {
    void *block = (void *)old->start;
    void *resized = NULL;
    errno = saved;
    atomic_fetch_sub_explicit(&mems_root.failures, 1, memory_order_relaxed); /* the one that out_of_memory counted */
    atomic_fetch_add_explicit(&mems_root.kept, 1, memory_order_relaxed);
    if (old->kind == BLOCK_LARGE) {
        (void)resize_counted(block, size != 0 ? size : 1);
    } else if (old->kind == BLOCK_HUGE && !huge_resize(block, size != 0 ? size : 1, &resized)) {
        fault_report("realloc", block); /* freed meanwhile */
    }
    return resized != NULL ? resized : block;
}

/* In place, but a huge block may move. NULL if that is impossible. */
static void *resize_big(const struct block *old, size_t size) {
    void *block = (void *)old->start;
    void *resized = realloc_in_place(old, size) ? block : NULL;
    if (old->kind == BLOCK_HUGE && size > realloc_keeps_from(min_size(old->size, HUGE_MIN)) &&
        !huge_resize(block, size, &resized)) {
        fault_report("realloc", block); /* freed meanwhile */
    }
    return resized;
}

static void *resize_or_move(const struct block *old, size_t size, bool stays) {
    const int saved = errno;
    void *resized = stays ? NULL : resize_big(old, size);
    if (resized != NULL) {
        alloc_count_resized(resized, old->size, size);
        return resized;
    }
    void *moved = move_big(old, size, stays);
    return moved == NULL && size <= old->size ? shrink_in_place(old, size, saved) : moved;
}

/* The sample ends, because its guard is in the way; if the block stays as it was, so does the sample. */
static void *realloc_big(const struct block *old, size_t size) {
    bool stays = old->kind == BLOCK_SAMPLE;
    struct sample *sample = stays ? NULL : sampled_block_loosen((void *)old->start, &stays);
    void *resized = resize_or_move(old, size, stays);
    if (UNLIKELY(sample != NULL)) {
        if (resized != NULL) {
            sampled_block_end(heap_mine, sample);
        } else {
            sampled_block_tighten(sample);
        }
    }
    return resized;
}

/* A block that has slightly outgrown its slot will probably keep growing in such steps. */
static size_t slot_with_headroom(size_t old_size, size_t size) {
    size_t ample = old_size + old_size / 4;
    return size < old_size + old_size / 16 && ample <= SMALL_MAX ? ample : size;
}

static void *realloc_slot(void *block, unsigned size_class, size_t size) {
    if (slot_fits(size_class, size)) {
        return block;
    }
    const size_t old_size = size_classes[size_class].size;
    const int saved = errno;
    void *moved = alloc_ample(size, size > old_size ? slot_with_headroom(old_size, size) : size);
    if (moved != NULL) {
        memcpy(moved, block, old_size < size ? old_size : size);
        engine_free(block);
    } else if (size <= old_size) {
        const struct block old = {.kind = BLOCK_SLOT, .start = (uintptr_t)block, .size = old_size};
        moved = shrink_in_place(&old, size, saved);
    }
    return moved;
}

/* Resizes a live large block in place if only the bytes in its last unit change, as for blocks that grow in small
 * steps. Headroom that may be cut off meanwhile begins at the next unit. */
static bool resize_within_unit(void *block, size_t size) {
    if (window_granule(block) >= window_granules() || page_map_load(window_unit(block)) != UNIT_LARGE ||
        window_address(window_unit(block)) != block) {
        return false;
    }
    struct large *large = large_of(block);
    const size_t requested = large_requested(large);
    if (large_units(size) != large_units(requested) || size <= SMALL_MAX || large->sample != NULL ||
        (size < requested && large_is_ample(large))) {
        return false;
    }
    const size_t old_size = large_size(large);
    large_set_size(large, size);
    large->watched = false;
    heap_count_large(heap_mine, (uint64_t)large_size(large) - old_size);
    alloc_count_resized(block, old_size, size);
    return true;
}

void *engine_realloc(const char *operation, void *block, size_t size) {
    if (block == NULL) {
        return engine_alloc(size);
    }
    if (UNLIKELY(heaps.harden != HARDEN_OFF)) {
        return harden_realloc(operation, block, size);
    }
    unsigned size_class = lookup_slot_class(block);
    if (LIKELY(size_class < SIZE_CLASSES)) {
        return realloc_slot(block, size_class, size);
    }
    if (resize_within_unit(block, size)) {
        return block;
    }
    struct block old = fault_unless_live(operation, block);
    if (UNLIKELY(old.kind == BLOCK_OUTSIDE)) {
        return NULL;
    }
    return size > PTRDIFF_MAX ? out_of_memory() : realloc_big(&old, size);
}
