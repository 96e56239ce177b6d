#include "supply.h"

#include <errno.h>

#include "engine/engine.h"
#include "engine/heaps/cached_blocks.h"
#include "engine/memory/large.h"
#include "engine/modes/sampled_block.h"
#include "engine/probe.h"
#include "engine/reports/heap_limit.h"
#include "engine/slabs/abandoned.h"
#include "engine/upkeep/before_growth.h"
#include "engine/upkeep/idle.h"
#include "engine/upkeep/trim.h"
#include "fast_path.h"

void *out_of_memory(void) {
    atomic_fetch_add_explicit(&mems_root.failures, 1, memory_order_relaxed);
    errno = ENOMEM;
    return NULL;
}

/* NULL if there is no memory. */
static void *large_instead(struct heap *heap, size_t size) {
    bool zero;
    void *block = large_alloc(size, 1, &zero);
    if (block != NULL) {
        heap_count_large(heap, large_size(large_of(block)));
    }
    return block;
}

COLD void *supply_sampled(void *block, size_t size, size_t alignment, uint64_t interval) {
    struct heap *heap = heap_mine;
    const bool in_slab = page_map_holds(block) && entry_is_slab(page_map_load(window_unit(block)));
    void *sample = block;
    if (in_slab) {
        sample = size <= SMALL_MAX ? sampled_block_take(heap, size, alignment, interval) : large_instead(heap, size);
        if (sample == NULL) {
            return block;
        }
        engine_free(block);
    }
    if (!in_slab || size > SMALL_MAX) {
        sampled_block_mark(heap, sample, size, interval);
    }
    return sample;
}

COLD void *alloc_beat(void *block, size_t size, size_t alignment) {
    int saved = errno;
    const uint64_t interval = supply_beat(heap_mine);
    heap_request_serve();
    fault_if_suspect();
    if (interval != 0) {
        block = supply_sampled(block, size, alignment, interval);
    }
    errno = saved;
    return block;
}

/* --- Slots -------------------------------------------------------------------------------------------------------- */

/* From the shared slab: for a thread without a heap (NULL), or a heap's first blocks. */
static void *take_shared(struct heap *heap, size_t size) {
    void *block = shared_alloc(size);
    if (block == NULL && heap == NULL) {
        upkeep_reclaim_all(NULL);
        block = shared_alloc(size);
    }
    return block;
}

/* Fills the heap's magazine, or sets *block if there can be none. */
static bool transfer(struct heap *heap, unsigned size_class, void **block) {
    if (cached_refill(heap, size_class)) {
        return true;
    }
    *block = cached_take_one(heap, size_class);
    return *block != NULL;
}

/* From the heap's own memory, flushing some on the way. */
static bool refill(struct heap *heap, unsigned size_class, void **block) {
    lock_take(&heap->lock);
    bool filled =
        transfer(heap, size_class, block) || (upkeep_before_growth(heap) && transfer(heap, size_class, block));
    lock_give(&heap->lock);
    return filled;
}

/* Before a heap's slabs grow, it flushes cached large blocks that have at least 1/SLABS_PER_LARGES of the slabs' bytes.
 * Slabs fill slowly and large blocks at once, so scarce dirty spans are better left to large blocks. */
#define SLABS_PER_LARGES 8u

static bool refill_from_fresh(struct heap *heap, unsigned size_class, void **block) {
    upkeep_before_peak(heap, size_classes[size_class].units);
    lock_take(&heap->lock);
    const size_t least = heap->slab_bytes / SLABS_PER_LARGES;
    lock_give(&heap->lock);
    upkeep_flush_larges(heap, size_classes[size_class].units, SIZE_MAX, least);
    lock_take(&heap->lock);
    bool filled = heap_grow(heap, size_class) != NULL && transfer(heap, size_class, block);
    lock_give(&heap->lock);
    return filled;
}

/* Before a class touches fresh pages of its slab, it borrows a ready block that the thread has freed in a slightly
 * larger class. Otherwise a program that does little with many sizes would hold a few more pages for each. A class
 * without free slots borrows nothing, because other classes would then get slabs instead, later and amidst large
 * blocks, which would have less room to grow. Blocks up to BORROW_MIN are many to a page. The slot is longer than the
 * request by at most 1/BORROW_SHARE of it, so more than half of the slot is used, as realloc and sized frees expect
 * (realloc_keeps_from). */
#define BORROW_MIN 256u
#define BORROW_SHARE 2u

/* Each borrowed block costs a slow call, so after this many a class refills its magazine. */
#define BORROWED_MAX 128u

/* The class of a ready block that a request may borrow, or size_class itself. */
static unsigned lender(const struct heap *heap, unsigned size_class, size_t size) {
    for (unsigned larger = size_class + 1;
         larger < MEDIUM_CLASS && size_classes[larger].size <= size + size / BORROW_SHARE; larger++) {
        if (*heap->tops[larger] != NULL) {
            return larger;
        }
    }
    return size_class;
}

/* The lock, which a refill would take too, is taken only if there is something to borrow. */
static void *borrow(struct heap *heap, unsigned size_class, size_t size, size_t alignment) {
    if (size_classes[size_class].size <= BORROW_MIN || alignment > GRANULE ||
        heap->classes[size_class].borrowed == BORROWED_MAX) {
        return NULL;
    }
    const unsigned larger = lender(heap, size_class, size);
    if (larger == size_class) {
        return NULL;
    }
    lock_take(&heap->lock);
    const bool fresh = cached_needs_fresh(heap, size_class);
    lock_give(&heap->lock);
    if (!fresh) {
        return NULL;
    }
    heap->classes[size_class].borrowed++;
    return fast_pop(heap, larger);
}

bool supply_magazine(struct heap *heap, unsigned size_class, void **block) {
    return refill(heap, size_class, block) || refill_from_fresh(heap, size_class, block);
}

/* After stealing and freeing this many blocks of a class, the heap grows by a slab. */
#define BOUNCES_BEFORE_SLAB 8u
#define BOUNCES_BEFORE_GROWTH 200u

/* A freed block goes back to where it was stolen, so a thread that frees what it steals would take the slow path and a
 * lock at each malloc and free. */
static bool may_steal(struct heap *heap, unsigned size_class) {
    struct heap_class *of = &heap->classes[size_class];
    const uint8_t freed = (uint8_t)atomic_load_explicit(&of->remote, memory_order_relaxed);
    of->bounces = (uint8_t)(of->bounces + (freed != of->freed));
    of->freed = freed;
    if (of->bounces < (heap->bottoms[size_class] == NULL ? BOUNCES_BEFORE_SLAB : BOUNCES_BEFORE_GROWTH)) {
        return true;
    }
    of->bounces = 0;
    return false;
}

/* Tries the heap's own memory, idle heaps', fresh memory, and last what any heap keeps. `harden`: borrows no block, and
 * takes recently freed ones from another heap only when memory runs out. *interval: see supply_keep_up. */
ALWAYS_INLINE void *obtain(struct heap *heap, unsigned size_class, size_t size, size_t alignment, unsigned harden,
                           uint64_t *interval) {
    PROBE_2(refill, size_class, size);
    void *block = NULL;
    *interval = 0;
    if (heap == NULL || thread_take_share(heap, size_class)) {
        block = take_shared(heap, size_class_room(size_class));
        if (block != NULL || heap == NULL) {
            if (heap != NULL && heap_count(heap, size)) {
                *interval = supply_beat(heap);
            }
            return block != NULL ? block : out_of_memory();
        }
    }
    if (harden == HARDEN_OFF) {
        block = borrow(heap, size_class, size, alignment);
    }
    bool filled = block != NULL || refill(heap, size_class, &block);
    if (!filled) {
        block = harden == HARDEN_OFF && may_steal(heap, size_class) ? idle_steal(heap, size_class) : NULL;
        filled = block != NULL || refill_from_fresh(heap, size_class, &block);
    }
    if (!filled) {
        upkeep_reclaim_all(heap);
        filled = supply_magazine(heap, size_class, &block);
    }
    if (!filled) {
        block = idle_steal_anywhere(heap, size_class);
    }
    heap_catch_up(heap);
    if (filled && block == NULL) {
        block = fast_pop(heap, size_class + (harden == HARDEN_FULL ? HARDENED : 0));
    }
    *interval = supply_keep_up(heap, size);
    fault_if_suspect();
    heap_limit_attend(heap);
    return block != NULL ? block : out_of_memory();
}

/* Also makes it a sample, if it is to be one. */
ALWAYS_INLINE void *supply(struct heap *heap, unsigned size_class, size_t size, size_t alignment, unsigned harden) {
    uint64_t interval;
    void *block = obtain(heap, size_class, size, alignment, harden, &interval);
    return LIKELY(interval == 0) || block == NULL ? block : supply_sampled(block, size, alignment, interval);
}

void *supply_small(struct heap *heap, unsigned size_class, size_t size, size_t alignment) {
    return supply(heap, size_class, size, alignment, HARDEN_OFF);
}

void *supply_light(struct heap *heap, unsigned size_class, size_t size, size_t alignment) {
    return supply(heap, size_class, size, alignment, HARDEN_LIGHT);
}

void *supply_exact(struct heap *heap, unsigned size_class, size_t size, uint64_t *interval) {
    return obtain(heap, size_class, size, 1, HARDEN_FULL, interval);
}
