/*
 * realloc.c - blocks at another size, and how large a block is.
 */
#include "realloc.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "abandoned.h"
#include "base/bits.h"
#include "engine.h"
#include "fault_report.h"
#include "front.h"
#include "huge.h"
#include "large.h"
#include "os/os.h"

/* From this size on, realloc moves a block's pages rather than copying its bytes, if the new place has none yet: pages
 * that are there already would be lost, and faulting others in costs more than a copy. Each move may split mappings
 * twice, and the kernel allows a process some 65,000 of them: so the number of moves has a limit, and small blocks are
 * copied. */
#define MOVE_PAGES_MIN ((size_t)1 << 20)
#define MOVES_MAX 8192u

/* Cached large blocks that are given back for one to grow in place. */
#define UNLOADED_LARGES 64u

bool class_fits(size_t size, unsigned size_class) {
    return size_class_of(size) == size_class || shared_class(size) == size_class;
}

/* Moves a large block's contents by its pages. False when they are to be copied; *lost: `to` is gone. Within the window
 * only, for mixed with mappings of their own, pages would split those; and not where the program has advised something,
 * which would move with them. */
static bool move_pages(void *from, void *to, size_t bytes, bool *lost) {
    if (bytes < MOVE_PAGES_MIN || !window_holds(from) || !window_holds(to) || large_advised(large_of(from)) ||
        atomic_load_explicit(&mems_root.pages_moved, memory_order_relaxed) >= MOVES_MAX ||
        os_move_pages(from, to, round_up(bytes, OS_PAGE), lost)) {
        return false;
    }
    atomic_fetch_add_explicit(&mems_root.pages_moved, 1, memory_order_relaxed);
    return true;
}

/* A big block at another address, of another size; the old one is freed. */
static void *move_big(const struct block *old, size_t size) {
    void *from = (void *)old->start;
    const size_t bytes = old->size < size ? old->size : size;
    for (;;) {
        bool fresh = false;
        void *to = size <= SMALL_MAX ? engine_alloc(size) : alloc_big(size, 1, &fresh);
        if (to == NULL) {
            return NULL;
        }
        bool lost = false;
        bool moved = fresh && move_pages(from, to, bytes, &lost);
        if (LIKELY(!lost)) {
            if (!moved) {
                memcpy(to, from, bytes);
            }
            engine_free(from);
            return to;
        }
        heap_count_large(heap_mine, -(uint64_t)large_size(large_of(to)));
        large_lose(to);
    }
}

static bool resize_counted(void *block, size_t size) {
    const uint64_t before = large_size(large_of(block));
    bool resized = large_resize(block, size);
    heap_count_large(heap_mine, large_size(large_of(block)) - before);
    return resized;
}

/* What lies behind a block that grows may be cached. */
static bool resize_large(void *block, size_t size) {
    if (resize_counted(block, size)) {
        return true;
    }
    struct heap *heap = heap_mine;
    if (large_cache_count(&heap->larges) == 0) {
        return false;
    }
    lock_take(&heap->lock);
    large_cache_unload(&heap->larges, UNLOADED_LARGES);
    lock_give(&heap->lock);
    return resize_counted(block, size);
}

/*
 * A block that was to shrink, for which there is no memory at another place: it is cut where it is, or stays as it is.
 * So shrinking never fails. errno is that from before the attempt.
 */
static COLD void *shrink_in_place(const struct block *old, size_t size, int saved) {
    void *block = (void *)old->start;
    void *resized = NULL;
    errno = saved;
    atomic_fetch_sub_explicit(&mems_root.failures, 1,
                              memory_order_relaxed); /* the one that out_of_memory has counted */
    atomic_fetch_add_explicit(&mems_root.kept, 1, memory_order_relaxed);
    if (old->kind == BLOCK_LARGE) {
        (void)resize_counted(block, size != 0 ? size : 1);
    } else if (old->kind == BLOCK_HUGE && !huge_resize(block, size != 0 ? size : 1, &resized)) {
        fault_report("realloc", block); /* freed meanwhile */
    }
    return resized != NULL ? resized : block;
}

static void *realloc_big(const struct block *old, size_t size) {
    const int saved = errno;
    void *block = (void *)old->start;
    if (old->kind == BLOCK_LARGE && size > SMALL_MAX && size < HUGE_MIN && resize_large(block, size)) {
        return block;
    }
    if (old->kind == BLOCK_HUGE && size > realloc_keeps_from(HUGE_MIN)) {
        void *resized;
        if (!huge_resize(block, size, &resized)) {
            fault_report("realloc", block); /* freed meanwhile */
        }
        if (resized != NULL) {
            return resized;
        }
    }
    void *moved = move_big(old, size);
    return moved == NULL && size <= old->size ? shrink_in_place(old, size, saved) : moved;
}

/* What is allocated for a block that has outgrown its slot by little: it is likely to go on growing in such steps. */
static size_t with_headroom(size_t old_size, size_t size) {
    size_t ample = old_size + old_size / 4;
    return size < old_size + old_size / 16 && ample <= SMALL_MAX ? ample : size;
}

static void *realloc_slot(void *block, unsigned size_class, size_t size) {
    size_t old_size = size_classes[size_class].size;
    if (size <= old_size && (size > realloc_keeps_from(old_size) || class_fits(size, size_class))) {
        return block;
    }
    const int saved = errno;
    void *moved = engine_alloc(size > old_size ? with_headroom(old_size, size) : size);
    if (moved != NULL) {
        memcpy(moved, block, old_size < size ? old_size : size);
        engine_free(block);
    } else if (size <= old_size) {
        const struct block old = {.kind = BLOCK_SLOT, .start = (uintptr_t)block, .size = old_size};
        moved = shrink_in_place(&old, size, saved);
    }
    return moved;
}

void *engine_realloc(const char *operation, void *block, size_t size) {
    if (block == NULL) {
        return engine_alloc(size);
    }
    unsigned size_class = lookup_slot_class(block);
    if (LIKELY(size_class < SIZE_CLASSES)) {
        return realloc_slot(block, size_class, size);
    }
    struct block old = fault_unless_live(operation, block);
    return size > PTRDIFF_MAX ? out_of_memory() : realloc_big(&old, size);
}

size_t engine_usable_size(const char *operation, const void *block) {
    if (block == NULL) {
        return 0;
    }
    unsigned size_class = lookup_slot_class(block);
    return LIKELY(size_class < SIZE_CLASSES) ? size_classes[size_class].size : fault_unless_live(operation, block).size;
}
