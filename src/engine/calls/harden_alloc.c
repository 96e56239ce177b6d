#include "harden_alloc.h"

#include "engine/engine.h"
#include "engine/heaps/hardened_larges.h"
#include "engine/memory/large.h"
#include "engine/modes/harden.h"
#include "engine/modes/sweep.h"
#include "engine/slabs/slot_record.h"
#include "fast_path.h"

/* How much is checked at each end of a large block that is used again: clearing it costs enough. */
#define LARGE_END_CHECKED ((size_t)1 << 10)

/* Makes a kept block live again, which has read as zero since it was freed. */
static void *reuse_kept(struct large *kept, size_t size) {
    char *start = window_address(kept->span.first);
    const size_t room = large_size(kept);
    if (UNLIKELY(!zero_intact(start, LARGE_END_CHECKED) ||
                 !zero_intact(start + room - LARGE_END_CHECKED, LARGE_END_CHECKED))) {
        damage_after_free_large("malloc", start, large_requested(kept));
    }
    return large_reuse(kept, size);
}

COLD void *harden_alloc_big(supply_function *supply, struct heap *heap, size_t size, size_t alignment, bool *zero,
                            enum origin origin) {
    struct large *kept = NULL;
    if (heaps.harden == HARDEN_LIGHT && heap != NULL && alignment <= UNIT) {
        lock_take(&heap->lock);
        kept = hardened_take_large(heap, large_units_fenced(size), round_up(size, OS_PAGE));
        lock_give(&heap->lock);
    }
    void *block;
    if (kept != NULL) {
        *zero = false;
        block = reuse_kept(kept, size);
        heap_count_large(heap, large_size(kept));
        block = LIKELY(!heap_count(heap, size)) ? block : alloc_beat(block, size, alignment);
    } else {
        block = supply(heap, size, alignment, zero);
    }
    if (block != NULL) {
        harden_begin_big(block, size, origin);
    }
    if (heap != NULL && heaps.harden == HARDEN_FULL) {
        sweep_step(heap, "malloc");
    }
    return block;
}

/* With harden=full: the magazine is empty. */
static NOINLINE void *alloc_exact_refill(unsigned size_class, size_t size, size_t alignment, enum origin origin) {
    struct heap *heap = heap_or_null();
    uint64_t interval;
    void *block = supply_exact(heap, size_class, size, &interval);
    if (block == NULL) {
        return NULL;
    }
    const struct slot slot = slot_of(block, entry_class(page_map_load(window_unit(block))));
    harden_begin(&slot, size, ORIGIN_MALLOC);
    if (heap != NULL) {
        sweep_step(heap, "malloc");
    }
    return harden_set_origin(interval == 0 ? block : supply_sampled(block, size, alignment, interval), origin);
}

/* A sample that replaces the block frees it as one of malloc, so the origin is set last. */
COLD void *harden_alloc_beat(void *block, size_t size, size_t alignment, enum origin origin) {
    harden_set_origin(block, ORIGIN_MALLOC);
    return harden_set_origin(alloc_beat(block, size, alignment), origin);
}

NOINLINE void *harden_alloc_swept(struct heap *heap, void *block, size_t size, size_t alignment, enum origin origin) {
    sweep_step(heap, "malloc");
    return LIKELY(!heap_count(heap, size)) ? block : harden_alloc_beat(block, size, alignment, origin);
}

NOINLINE void *harden_alloc_begin(struct heap *heap, void *block, size_t size, size_t alignment, enum origin origin) {
    const struct slot slot = slot_of(block, entry_class(page_map_load(window_unit(block))));
    harden_begin(&slot, size, origin);
    return harden_alloc_end(heap, block, size, alignment, origin);
}

/* With harden=full. */
ALWAYS_INLINE void *alloc_exact(struct heap *heap, unsigned size_class, size_t size, size_t alignment,
                                enum origin origin) {
    void **top = heap->tops[HARDENED + size_class];
    void *block = *top;
    if (UNLIKELY(block == NULL)) {
        return alloc_exact_refill(size_class, size, alignment, origin);
    }
    heap->tops[HARDENED + size_class] = top - 1;
    fast_live_begin(heap, block);
    const struct slot slot = slot_of(block, size_class);
    harden_begin(&slot, size, origin);
    return harden_alloc_end(heap, block, size, alignment, origin);
}

COLD void *harden_alloc_beyond(size_t size, enum origin origin) {
    bool zero;
    return size <= PTRDIFF_MAX ? harden_alloc_big(supply_big, heap_or_null(), size, 1, &zero, origin) : out_of_memory();
}

NOINLINE void *harden_alloc_full(struct heap *heap, size_t size, enum origin origin) {
    const unsigned size_class = harden_class(size);
    return LIKELY(size_class < SIZE_CLASSES) ? alloc_exact(heap, size_class, size, 1, origin)
                                             : harden_alloc_beyond(size, origin);
}

void *harden_alloc(struct heap *heap, size_t size) {
    if (heaps.harden == HARDEN_FULL) {
        return harden_alloc_full(heap_mine, size, ORIGIN_MALLOC);
    }
    if (heap != NULL) {
        sweep_light(heap, "malloc");
    }
    return supply_light(heap, size_class_of(size), size, 1);
}

COLD void *harden_alloc_aligned(size_t alignment, size_t size, enum origin origin) {
    struct heap *heap = heap_ensured();
    unsigned size_class =
        heaps.harden == HARDEN_FULL ? harden_class_aligned(alignment, size) : size_class_of_aligned(alignment, size);
    if (size_class == SIZE_CLASSES) {
        bool zero;
        return harden_alloc_big(supply_big, heap, size != 0 ? size : 1, alignment, &zero, origin);
    }
    if (heaps.harden == HARDEN_FULL) {
        return alloc_exact(heap_mine, size_class, size, alignment, origin);
    }
    void *block = fast_pop(heap_mine, size_class);
    return block != NULL ? block : supply_light(heap, size_class, size, alignment);
}
