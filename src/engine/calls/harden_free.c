#include "harden_free.h"

#include <errno.h>

#include "engine/heaps/hardened_larges.h"
#include "engine/memory/huge.h"
#include "engine/memory/large.h"
#include "engine/modes/sampled_block.h"
#include "engine/modes/sweep.h"
#include "engine/reports/damage.h"
#include "engine/upkeep/decay.h"
#include "free_block.h"
#include "supply.h"

/* With harden=light, freed large blocks up to this size are cleared, and may be reused as they are. */
#define LARGE_KEPT ((size_t)128 << 10)

/* Makes accesses to a large block that nobody holds fault, or the block read as zero. */
static void withdraw(struct large *large) {
    if ((heaps.harden != HARDEN_FULL && large_size(large) <= LARGE_KEPT) || !large_fence_all(large)) {
        large_clear(large);
    }
}

/* Ends a live block beyond the slabs, after checking it and its kind. */
static void end_big(const char *operation, void *block, size_t size, enum origin origin) {
    const size_t room = round_up(size, OS_PAGE);
    harden_check_kind(operation, block, size, origin);
    if (UNLIKELY(!canary_intact(block, size, room))) {
        damage_overflow(operation, block, size, room);
    }
}

/* A thread without a heap gets one, which keeps the block. */
static void detain_large(const char *operation, struct large *large) {
    struct heap *heap = heap_ensured();
    if (!sampled_block_end_large(heap_mine, large)) {
        return;
    }
    heap_count_large(heap_mine, -(uint64_t)large_size(large));
    withdraw(large);
    if (heap != NULL && !large_advised(large)) {
        lock_take(&heap->lock);
        hardened_keep_large(heap, large);
        lock_give(&heap->lock);
    } else {
        large_destroy(large);
    }
    if (heap != NULL) {
        upkeep(heap);
        if (heaps.harden == HARDEN_FULL) {
            sweep_step(heap, operation);
        }
    } else {
        upkeep_decay();
    }
}

static bool free_large_hardened(const char *operation, void *block) {
    struct large *large = large_end(block);
    if (large == NULL) {
        return false;
    }
    if (UNLIKELY(large->arena != 0)) {
        heap_let_go(large);
    }
    end_big(operation, block, large_requested(large), (enum origin)large->origin);
    detain_large(operation, large);
    return true;
}

void harden_free_moved(const char *operation, void *block) {
    struct large *large = large_end(block);
    if (large == NULL) {
        fault_report(operation, block); /* freed meanwhile */
        return;
    }
    if (UNLIKELY(large->arena != 0)) {
        heap_let_go(large);
    }
    detain_large(operation, large);
}

static bool free_huge_hardened(const char *operation, void *block) {
    const size_t size = huge_requested(block);
    if (size == 0) {
        return false;
    }
    end_big(operation, block, size, (enum origin)huge_origin(block));
    return free_huge(block);
}

/* With harden=full: the magazine is full, or was never made. */
static COLD void overflow_exact(void *block, struct heap *heap, size_t size_class, const char *operation) {
    free_overflow(block, HARDENED + size_class, heap);
    sweep_step(heap, operation);
}

/* In a slab that the thread's heap does not own. First checks and clears the block. */
static bool free_others(const char *operation, void *block, uint32_t entry) {
    const unsigned size_class = entry_class(entry);
    if (!live_test(block)) {
        return false;
    }
    if (heaps.harden == HARDEN_FULL) {
        const struct slot slot = slot_of(block, size_class);
        const unsigned record = record_load(&slot);
        const unsigned ended = record_ended(record);
        /* If two threads free a block, one finds it ended. harden.h has the order. */
        if (!record_is_live(record) ||
            !record_is_live(atomic_exchange_explicit(slot.record, (uint16_t)ended, memory_order_seq_cst))) {
            return false;
        }
        harden_end(operation, &slot, record);
    } else if (size_class != EMPTY_CLASS) {
        zero_write(block, size_class_room(size_class));
    }
    const bool freed = free_in_slab(block, entry);
    counter_add(&heap_mine->counters.remote_frees, freed);
    return freed;
}

/* Of another heap, or of none. */
static void free_others_slot(const char *operation, void *block, uint32_t entry) {
    if (entry_heap(entry) == HEAP_ABANDONED && free_adopt(block, entry_class(entry))) {
        harden_free_outside(block, operation);
    } else if (UNLIKELY(!free_others(operation, block, entry))) {
        fault_report(operation, block);
    }
}

static bool free_big_hardened(const char *operation, void *block) {
    if (!page_map_holds(block)) {
        return free_huge_hardened(operation, block);
    }
    if (window_granule(block) >= window_granules()) {
        return false;
    }
    const uint32_t entry = page_map_load(window_unit(block));
    return entry == UNIT_LARGE ? free_large_hardened(operation, block)
                               : entry == UNIT_SAMPLES && sampled_block_free(heap_mine, block);
}

/* Anything but a slot of the calling thread's heap. */
static NOINLINE void free_beyond_slabs(const char *operation, void *block) {
    if (block == NULL) {
        return;
    }
    const int saved = errno;
    const uint32_t entry = window_granule(block) < window_granules() ? page_map_load(window_unit(block)) : UNIT_UNUSED;
    if (entry_is_slab(entry)) {
        free_others_slot(operation, block, entry);
    } else if (!free_big_hardened(operation, block)) {
        fault_report(operation, block);
    }
    fault_if_suspect();
    errno = saved;
}

/* A freed block of the heap's that has left the quarantine. */
ALWAYS_INLINE void put_in_magazine(void *block, struct heap *heap, size_t size_class, const char *operation) {
    void **top = heap->tops[HARDENED + size_class] + 1;
    if (UNLIKELY(magazine_ends_at(top))) {
        overflow_exact(block, heap, size_class, operation);
        return;
    }
    PREFETCH(block); /* may be the next one that malloc reads */
    *top = block;
    heap->tops[HARDENED + size_class] = top;
}

/* False if another thread is freeing the block. */
ALWAYS_INLINE bool end_record(const struct slot *slot, unsigned record) {
    record_store(slot, record_ended(record));
    return record_is_live(record);
}

/* With harden=full: a block of the thread's own slabs whose life has ended, by live bit and record. */
ALWAYS_INLINE void end_slot(const struct slot *slot, unsigned record, struct heap *heap, const char *operation) {
    void *block = slot->start;
    const unsigned size_class = slot->size_class;
    if (LIKELY(harden_end(operation, slot, record)) &&
        UNLIKELY(!harden_neighbours_intact(slot, size_classes[size_class].size))) {
        harden_check_neighbours(operation, slot);
    }
    block = hardened_detain(heap, size_class, block);
    if (LIKELY(block != NULL)) {
        put_in_magazine(block, heap, size_class, operation);
    }
}

static NOINLINE void end_exact(void *block, struct heap *heap, size_t size_class, const char *operation) {
    const struct slot slot = slot_of(block, (unsigned)size_class);
    end_slot(&slot, record_load(&slot), heap, operation);
}

NOINLINE void harden_put_at_end(void *block, struct heap *heap, size_t size_class) {
    if (magazine_has_room(heap, (unsigned)size_class)) {
        hardened_push(heap, size_class, block);
    } else {
        free_overflow(block, size_class, heap);
    }
}

/* With harden=light and full: a block of the thread's own slabs. */
static NOINLINE void free_own_light(void *block, struct heap *heap, size_t size_class, uint64_t granule,
                                    const char *operation) {
    if (UNLIKELY(!fast_live_end(heap, block, granule))) {
        fault_report(operation, block);
        return;
    }
    if (LIKELY(size_class != EMPTY_CLASS)) {
        zero_write(block, size_class_room((unsigned)size_class));
    }
    harden_put(heap, size_class, block);
}

static NOINLINE void free_own_full(void *block, struct heap *heap, size_t size_class, uint64_t granule,
                                   const char *operation) {
    if (UNLIKELY(!fast_live_end(heap, block, granule))) {
        fault_report(operation, block);
        return;
    }
    const struct slot slot = slot_of(block, (unsigned)size_class);
    const unsigned record = record_load(&slot);
    if (UNLIKELY(!end_record(&slot, record))) {
        free_fault(block);
        return;
    }
    end_slot(&slot, record, heap, operation);
}

NOINLINE void harden_free_longer(void *block, struct heap *heap, size_t size_class, uint64_t granule,
                                 const char *operation) {
    if (UNLIKELY(size_class >= SIZE_CLASSES)) {
        free_beyond_slabs(operation, block);
    } else if (heaps.harden == HARDEN_LIGHT) {
        free_own_light(block, heap, size_class, granule, operation);
    } else {
        free_own_full(block, heap, size_class, granule, operation);
    }
}

/* With harden=full: the class has no quarantine yet. */
static COLD void detain_first(void *block, struct heap *heap, size_t size_class, const char *operation) {
    block = hardened_detain_first(heap, (unsigned)size_class, block);
    if (block != NULL) {
        put_in_magazine(block, heap, size_class, operation);
    }
}

NOINLINE void harden_free_full(void *block, struct heap *heap, uint64_t granule, const char *operation) {
    const size_t size_class = fast_class(heap, block);
    if (UNLIKELY(size_class >= SHORT_CLASSES)) {
        harden_free_longer(block, heap, size_class, granule, operation);
        return;
    }
    if (UNLIKELY(!fast_live_end(heap, block, granule))) {
        fault_report(operation, block);
        return;
    }
    const struct slot slot = harden_slot_short(heap, block, size_class);
    const unsigned record = record_load(&slot);
    if (UNLIKELY(!end_record(&slot, record))) {
        free_fault(block);
        return;
    }
    if (UNLIKELY(!harden_ends_short(operation, &slot, record))) {
        end_exact(block, heap, size_class, operation);
        return;
    }
    zero_write_short(block, size_class * GRANULE);
    struct quarantine *quarantine = heap->hardened->quarantines[size_class];
    if (UNLIKELY(quarantine == NULL)) {
        detain_first(block, heap, size_class, operation);
        return;
    }
    block = quarantine_exchange(quarantine, QUARANTINE_MOST, block, hardened_random(heap));
    if (LIKELY(block != NULL)) {
        put_in_magazine(block, heap, size_class, operation);
    }
}

/* With harden=light, which has checked that the block is in the window: one of the thread's first frees. */
static COLD void free_early(void *block, struct heap *heap, const char *operation) {
    const size_t size_class = fast_class(heap, block);
    if (size_class >= SIZE_CLASSES) {
        free_beyond_slabs(operation, block);
        return;
    }
    if (UNLIKELY(!fast_live_end(heap, block, window_granule(block)))) {
        fault_report(operation, block);
        return;
    }
    if (size_class != EMPTY_CLASS) {
        zero_write(block, size_class_room((unsigned)size_class));
    }
    const int saved = errno;
    lock_take(&heap->lock);
    heap_give(heap, &block, 1);
    lock_give(&heap->lock);
    heap->early_frees--;
    errno = saved;
}

void harden_free_outside(void *block, const char *operation) {
    struct heap *heap = heap_mine;
    if (UNLIKELY(heap->hardened == NULL || window_granule(block) >= window_granules())) {
        free_beyond_slabs(operation, block);
        return;
    }
    if (heap->early_frees != 0) {
        free_early(block, heap, operation);
        return;
    }
    /* The heap's copy of window.granules was stale, or is 0 because of early frees. */
    heap_catch_up(heap);
    if (heaps.harden == HARDEN_LIGHT) {
        harden_free_light(block, heap, window_granule(block), operation);
    } else {
        harden_free_full(block, heap, window_granule(block), operation);
    }
}
