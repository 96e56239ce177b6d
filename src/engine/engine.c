#include "engine.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "base/bits.h"
#include "base/compiler.h"
#include "block.h"
#include "fast_path.h"
#include "heap.h"
#include "huge.h"
#include "large.h"
#include "magazine.h"
#include "orphan.h"
#include "os/os.h"
#include "root.h"
#include "slab.h"
#include "span.h"
#include "window.h"
#include "zeros.h"

/* From this size on, realloc moves a block's pages rather than copying its bytes, if the new place has none yet: pages
 * that are there already would be lost, and faulting others in costs more than a copy. Each move may split the kernel's
 * list of mappings twice, and a process has some 65,000 of them: so only blocks that are worth it, and only so many
 * times. */
#define MOVE_PAGES_MIN ((size_t)1 << 20)
#define MOVES_MAX 8192u

/* A heap looks for what has lain unused on one in this many refills and overflows. */
#define CALLS_PER_DECAY 16u

static void *out_of_memory(void) {
    atomic_fetch_add_explicit(&mems_root.failures, 1, memory_order_relaxed);
    errno = ENOMEM;
    return NULL;
}

/* The calling thread's heap, made if need be; NULL when it can have none. */
static struct heap *heap_ensured(void) {
    struct heap *heap = heap_mine;
    if (LIKELY(heap != &heap_none)) {
        return heap;
    }
    return root_start() ? heap_begin() : NULL;
}

/* Gives back what has lain unused: dirty spans, and the heap's reserve. Reads the clock only if there is any. */
static void decay(struct heap *heap) {
    if (spans_age() || !reserve_empty(&heap->reserve)) {
        uint64_t now_ms = os_coarse_ms();
        span_decay(now_ms);
        reserve_decay(heap, now_ms);
    }
}

/* The same on the paths that a busy thread takes every few dozen calls: there the clock is read only now and then. */
static void decay_now_and_then(struct heap *heap) {
    if (heap->slow_calls++ % CALLS_PER_DECAY == 0) {
        decay(heap);
    }
}

static COLD void *alloc_refill(size_t size) {
    struct heap *heap = heap_ensured();
    if (!root_ready()) {
        return out_of_memory();
    }
    unsigned size_class = size_class_of(size);
    if (heap == NULL || heap_take_share(heap, size_class)) {
        void *block = commons_alloc(size);
        if (block != NULL || heap == NULL) {
            return block != NULL ? block : out_of_memory();
        }
    }
    inbox_drain(heap);
    decay_now_and_then(heap);
    if (!magazine_refill(heap, size_class)) {
        heap_trim(heap);
        if (!magazine_refill(heap, size_class)) {
            return out_of_memory();
        }
    }
    heap_catch_up(heap);
    void **top = heap->tops[heap->first + size_class];
    void *block = *top;
    heap->tops[heap->first + size_class] = top - 1;
    if (heap->proves) {
        live_set(block);
    }
    return block;
}

static void *take_big(size_t size, size_t alignment, bool *zero) {
    void *block = NULL;
    bool small_enough = size < HUGE_MIN && alignment < HUGE_MIN;
    if (small_enough) {
        block = large_alloc(size, alignment, zero);
    }
    if (block == NULL) {
        block = huge_alloc(size, alignment);
        *zero = true;
    }
    if (block == NULL && !small_enough) {
        block = large_alloc(size, alignment, zero);
    }
    return block;
}

/* A block too large for a slab, or too strictly aligned. size <= PTRDIFF_MAX. */
static NOINLINE void *alloc_big(size_t size, size_t alignment, bool *zero) {
    if (!root_start()) {
        return out_of_memory();
    }
    struct heap *heap = heap_mine;
    if (heap != &heap_none) {
        inbox_drain(heap);
    }
    decay(heap);
    void *block = take_big(size, alignment, zero);
    if (block == NULL && heap != &heap_none) {
        heap_trim(heap);
        block = take_big(size, alignment, zero);
    }
    return block != NULL ? block : out_of_memory();
}

NOINLINE void *alloc_slow(size_t size) {
    bool zero;
    if (size <= SMALL_MAX) {
        return alloc_refill(size);
    }
    return size <= PTRDIFF_MAX ? alloc_big(size, 1, &zero) : out_of_memory();
}

void *engine_alloc(size_t size) {
    return fast_alloc(size);
}

void *engine_alloc_zeroed(size_t count, size_t size) {
    size_t bytes;
    if (UNLIKELY(__builtin_mul_overflow(count, size, &bytes) || bytes > PTRDIFF_MAX)) {
        return out_of_memory();
    }
    bool zero = false;
    void *block = bytes <= SMALL_MAX ? engine_alloc(bytes) : alloc_big(bytes, 1, &zero);
    if (block == NULL) {
        return NULL;
    }
    struct heap *heap = heap_mine;
    if (zeros_make(heap != &heap_none ? &heap->zeros : NULL, block, bytes, zero) && window_holds(block)) {
        large_watch(block);
    }
    return block;
}

void *engine_alloc_aligned(size_t alignment, size_t size) {
    if (alignment <= GRANULE) {
        return engine_alloc(size);
    }
    if (size > PTRDIFF_MAX || alignment > PTRDIFF_MAX || size + alignment > PTRDIFF_MAX || !root_start()) {
        return out_of_memory();
    }
    unsigned size_class = size_class_of_aligned(alignment, size);
    if (size_class < SIZE_CLASSES) {
        return engine_alloc(size_classes[size_class].size);
    }
    bool zero;
    return alloc_big(size ? size : 1, alignment, &zero);
}

COLD void free_elsewhere(void *block) {
    if (block == NULL) {
        return;
    }
    int saved = errno;
    if (window_granule(block) >= window_granules()) {
        if (window_holds(block)) {
            block_fault("free", block);
        }
        huge_free(block);
        errno = saved;
        return;
    }
    uint32_t entry = page_map_load(window_unit(block));
    struct heap *heap = heap_ensured();
    if (heap != NULL) {
        inbox_drain(heap);
        heap_catch_up(heap);
    }
    if (entry_is_slab(entry)) {
        if (heap != NULL) {
            counter_add(&heap->counters.remote_frees, entry_owner(entry) != heap->owner);
        }
        heap_route(heap, block);
    } else if (entry == UNIT_LARGE) {
        large_free(block);
        if (heap != NULL) {
            decay(heap);
        }
    } else {
        block_fault("free", block);
    }
    errno = saved;
}

/* The block has been proved if the heap proves. */
COLD void free_overflow(struct heap *heap, size_t top, void *block) {
    int saved = errno;
    unsigned size_class = (unsigned)top - heap->first;
    inbox_drain(heap);
    decay_now_and_then(heap);
    if (magazine_make_room(heap, size_class)) {
        void **room = heap->tops[top] + 1;
        *room = block;
        heap->tops[top] = room;
    } else {
        heap_give(heap, &block, 1, !heap->proves);
    }
    errno = saved;
}

void engine_free(void *block) {
    fast_free(block);
}

/* realloc leaves a block of `size` bytes where it is for requests larger than this. */
static size_t kept_from(size_t size) {
    return size / 2;
}

/* Whether a class is one that serves so many bytes, in a heap or from the commons. */
static bool class_fits(size_t size, unsigned size_class) {
    return size_class_of(size) == size_class || commons_class(size) == size_class;
}

/*
 * The class of the slab in which a live block starts at this address, whoever owns it; SIZE_CLASSES when it is
 * something else, or no block at all. As in fast_free, one comparison proves address and alignment, and the live bit
 * the start.
 */
static inline unsigned live_slot_class(const void *block) {
    uint64_t granule = rotate_right((uintptr_t)block - window.base, GRANULE_SHIFT);
    if (UNLIKELY(granule >= window_granules())) {
        return SIZE_CLASSES;
    }
    uint32_t entry = page_map_load(granule >> (UNIT_SHIFT - GRANULE_SHIFT));
    return entry_is_slab(entry) && live_test(block) ? entry_class(entry) : SIZE_CLASSES;
}

void engine_free_sized(const char *operation, void *block, size_t size, size_t alignment) {
    if (block == NULL) {
        return;
    }
    unsigned size_class = live_slot_class(block);
    if (LIKELY(size_class < SIZE_CLASSES && alignment <= GRANULE && size <= SMALL_MAX &&
               size_class_of(size) == size_class)) {
        engine_free(block);
        return;
    }
    struct block checked = block_checked(operation, block);
    /* Whatever was aligned may lie in a much larger class; otherwise its own, or one that realloc left it in. */
    bool fits = size <= checked.size && (alignment == 0 || (uintptr_t)block % alignment == 0);
    if (alignment <= GRANULE && checked.kind == BLOCK_SLOT && size <= kept_from(checked.size)) {
        fits = fits && class_fits(size, checked.size_class);
    }
    if (UNLIKELY(!fits)) {
        block_fault_size(operation, block, size);
    }
    engine_free(block);
}

/* Moves a large block's contents by its pages. False when they are to be copied; *lost: `to` is gone. Within the window
 * only: mixed with mappings of their own, pages would split those, and bring along what the program advised for them.
 */
static bool move_pages(void *from, void *to, size_t bytes, bool *lost) {
    if (bytes < MOVE_PAGES_MIN || !window_holds(from) || !window_holds(to) ||
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
        large_lose(to);
    }
}

static void *realloc_big(const struct block *old, size_t size) {
    void *block = (void *)old->start;
    if (old->kind == BLOCK_LARGE && size > SMALL_MAX && size < HUGE_MIN && large_resize(block, size)) {
        return block;
    }
    if (old->kind == BLOCK_HUGE && size > kept_from(HUGE_MIN)) {
        void *resized = huge_resize(block, size);
        if (resized != NULL) {
            return resized;
        }
    }
    return move_big(old, size);
}

/* What is allocated for a block that has outgrown its slot by little: it is likely to go on growing in such steps. */
static size_t with_headroom(size_t old_size, size_t size) {
    size_t ample = old_size + old_size / 4;
    return size < old_size + old_size / 16 && ample <= SMALL_MAX ? ample : size;
}

static void *realloc_slot(void *block, unsigned size_class, size_t size) {
    size_t old_size = size_classes[size_class].size;
    if (size <= old_size && (size > kept_from(old_size) || class_fits(size, size_class))) {
        return block;
    }
    void *moved = engine_alloc(size > old_size ? with_headroom(old_size, size) : size);
    if (moved != NULL) {
        memcpy(moved, block, old_size < size ? old_size : size);
        engine_free(block);
    }
    return moved;
}

void *engine_realloc(const char *operation, void *block, size_t size) {
    if (block == NULL) {
        return engine_alloc(size);
    }
    unsigned size_class = live_slot_class(block);
    if (LIKELY(size_class < SIZE_CLASSES)) {
        return realloc_slot(block, size_class, size);
    }
    struct block old = block_checked(operation, block);
    return size > PTRDIFF_MAX ? out_of_memory() : realloc_big(&old, size);
}

size_t engine_usable_size(const char *operation, const void *block) {
    if (block == NULL) {
        return 0;
    }
    unsigned size_class = live_slot_class(block);
    return LIKELY(size_class < SIZE_CLASSES) ? size_classes[size_class].size : block_checked(operation, block).size;
}

size_t engine_trim(void) {
    if (!root_ready()) {
        return 0;
    }
    int saved = errno;
    if (heap_mine != &heap_none) {
        heap_trim(heap_mine);
    }
    size_t given = span_purge_all();
    errno = saved;
    return given;
}
