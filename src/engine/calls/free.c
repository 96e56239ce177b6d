/*
 * free.c - free beyond the fast path.
 */
#include <errno.h>
#include <stdint.h>

#include "engine/engine.h"
#include "engine/heaps/cached_blocks.h"
#include "engine/heaps/remote.h"
#include "engine/heaps/sample_points.h"
#include "engine/memory/huge.h"
#include "engine/memory/large.h"
#include "engine/memory/zeros.h"
#include "engine/modes/harden.h"
#include "engine/modes/sampled_block.h"
#include "engine/modes/sweep.h"
#include "engine/reports/damage.h"
#include "engine/slabs/abandoned.h"
#include "engine/slabs/slab.h"
#include "engine/upkeep/upkeep.h"
#include "fast_path.h"
#include "front.h"

/* A thread without a heap has no counters and no beats. After this many frees it gets a heap, or does upkeep if it
 * cannot have one. Fewer frees make none: at a thread's very end, a new heap could no longer be given back. */
#define HEAPLESS_FREES 256u
static TLS unsigned heapless_frees;

/* For statistics: until it is collected, the block is neither live nor free. */
static inline void count_remote(struct heap *heap, unsigned size_class) {
    if (UNLIKELY(heap == &heap_none)) {
        slab_count_add(&slab_counts[0][size_class].remote, 1);
        return;
    }
    _Atomic uint32_t *remote = &heap->classes[size_class].remote;
    atomic_store_explicit(remote, atomic_load_explicit(remote, memory_order_relaxed) + 1, memory_order_relaxed);
}

/* Frees a block of a slab that the calling thread's heap does not own; `entry` is the page map's. False if it is not
 * live. */
static bool free_in_slab(void *block, uint32_t entry) {
    while (entry_is_slab(entry)) {
        if (entry_heap(entry) != HEAP_ABANDONED) {
            bool freed = remote_free(block);
            if (freed) {
                count_remote(heap_mine, entry_class(entry));
            }
            return freed;
        }
        enum abandoned_free found = abandoned_free(block);
        if (found != ABANDONED_ADOPTED) {
            return found == ABANDONED_FREED;
        }
        entry = page_map_load(window_unit(block));
    }
    return false;
}

static NOINLINE bool cache_large(struct heap *heap, struct large *large) {
    lock_take(&heap->lock);
    const bool kept = large_cache_put(&heap->larges, large);
    lock_give(&heap->lock);
    return kept;
}

/* Caches a large block whose life has ended, or frees its span. */
static COLD void end_large(struct heap *heap, struct large *large) {
    const int saved = errno;
    bool kept = false;
    if (UNLIKELY(large->arena != 0)) {
        heap_let_go(large);
    }
    if (!sampled_block_end_large(heap, large)) {
        return;
    }
    if (large->watched) {
        zeros_learn(window_address(large->span.first), large_size(large));
    }
    if (heap != &heap_none) {
        kept = !large_advised(large) && cache_large(heap, large);
    }
    if (!kept) {
        large_destroy(large);
    }
    if (heap == &heap_none) {
        upkeep_decay();
    } else {
        upkeep(heap);
    }
    errno = saved;
}

static COLD void keep_up(struct heap *heap) {
    const int saved = errno;
    upkeep_counted(heap);
    fault_if_suspect();
    errno = saved;
}

/* False if no live large block starts there. */
ALWAYS_INLINE bool free_large(void *block) {
    struct large *large = large_end(block);
    if (UNLIKELY(large == NULL)) {
        return false;
    }
    struct heap *heap = heap_mine;
    heap_count_large(heap, -(uint64_t)large_size(large));
    if (heap == &heap_none || !large_is_plain(large) ||
        (!large_cache_put_ready(&heap->larges, large) && !cache_large(heap, large))) {
        end_large(heap, large);
    } else if (UNLIKELY(upkeep_count(heap))) {
        keep_up(heap);
    }
    return true;
}

static bool free_huge(void *block) {
    sampled_block_end_huge(heap_mine, block);
    return huge_free(block);
}

/* Frees a block in a unit that is in no heap's slab, or in any slab for a thread without a heap. False if it is not
 * live. */
static bool free_by_entry(void *block, uint32_t entry) {
    if (entry_is_slab(entry)) {
        return free_in_slab(block, entry);
    }
    if (entry == UNIT_SAMPLES) {
        return sampled_block_free(heap_mine, block);
    }
    return entry_is_used(entry) ? entry == UNIT_LARGE && free_large(block) : free_huge(block);
}

static COLD void free_beat(void) {
    int saved = errno;
    (void)sample_points_beat(heap_mine);
    upkeep_beat(heap_mine);
    request_serve();
    errno = saved;
}

COLD void free_fault(void *block) {
    fault_report("free", block);
}

COLD void alloc_fault(void *block) {
    fault_report_end("free", block);
}

/* Counts a free in a slab that the heap did not have. A thread that only frees others' blocks does upkeep too. */
ALWAYS_INLINE void count_foreign(struct heap *heap, unsigned size_class) {
    counter_add(&heap->counters.remote_frees, 1);
    if (UNLIKELY(heap_count(heap, size_classes[size_class].size))) {
        free_beat();
    }
}

/*
 * Whether the block's slab, which was abandoned a moment ago, has become the calling thread's. A thread adopts the
 * first such slab that it frees into if it has no magazine of the class yet, and another at the STRAYS_MAXth such free
 * after a refill of the class. So a thread that only frees leaves the slabs to threads that allocate.
 */
static bool adopt_slab(const void *block, unsigned size_class) {
    struct heap *heap = heap_mine;
    struct heap_class *of = &heap->classes[size_class];
    if (heap == &heap_none || of->strays == STRAYS_MAX ||
        (++of->strays != STRAYS_MAX && heap->bottoms[size_class] != NULL)) {
        return false;
    }
    of->strays = STRAYS_MAX;
    lock_take(&heap->lock);
    bool adopted = heap_adopt_of(heap, block, size_class);
    lock_give(&heap->lock);
    return adopted;
}

/* A block in a unit that is in no heap's slab: of an abandoned slab, a large block, or none. */
static NOINLINE void free_heapless(void *block, uint32_t entry) {
    int saved = errno;
    if (entry_is_slab(entry) && adopt_slab(block, entry_class(entry))) {
        fast_free("free", block);
    } else if (!free_by_entry(block, entry)) {
        fault_report("free", block);
    }
    if (entry_is_slab(entry)) {
        count_foreign(heap_mine, entry_class(entry));
    }
    fault_if_suspect();
    errno = saved;
}

/* A block of a slab that another heap has. */
static NOINLINE void free_remotely(void *block, unsigned size_class) {
    struct heap *heap = heap_mine;
    if (UNLIKELY(!remote_free(block))) {
        free_fault(block);
        return;
    }
    count_remote(heap, size_class);
    count_foreign(heap, size_class);
    fault_if_suspect();
}

static void free_beyond_slabs(const char *operation, void *block);

static COLD void free_elsewhere_plain(void *block) {
    int saved = errno;
    if (window_granule(block) >= window_granules()) {
        if (page_map_holds(block) || !free_huge(block)) {
            fault_report("free", block);
        }
        errno = saved;
        return;
    }
    struct heap *heap = heap_mine;
    uint32_t entry = page_map_load(window_unit(block));
    if (heap != &heap_none) {
        /* The heap's copy of window.granules was stale. */
        heap_catch_up(heap);
        fast_free("free", block);
    } else if (!free_by_entry(block, entry)) {
        fault_report("free", block);
    } else if (++heapless_frees % HEAPLESS_FREES == 0 && heap_ensured() == NULL) {
        upkeep_of_others();
    }
    fault_if_suspect();
    errno = saved;
}

ALWAYS_INLINE void push(struct heap *heap, size_t top, void *block) {
    void **room = heap->tops[top] + 1;
    *room = block;
    heap->tops[top] = room;
}

/* If frees are checked at the call, the block has been checked. */
COLD void free_overflow(void *block, size_t top, struct heap *heap) {
    int saved = errno;
    unsigned size_class = (unsigned)top - heap->mode_offset;
    /* Only a wide magazine has an inner multiple. */
    if (heap->classes[size_class].slots > MAGAZINE_SLOTS && magazine_has_room(heap, size_class)) {
        push(heap, top, block);
        return;
    }
    lock_take(&heap->lock);
    if (cached_make_room(heap, size_class)) {
        push(heap, top, block);
    } else if (heap->checks_every || magazine_prove(&block, 1) == 1) {
        heap_give(heap, &block, 1);
    }
    lock_give(&heap->lock);
    upkeep(heap);
    fault_if_suspect();
    errno = saved;
}

/* --- Hardened frees ----------------------------------------------------------------------------------------------- */

/* With harden=light, freed large blocks up to this size are cleared, and may be reused as they are. */
#define LARGE_KEPT ((size_t)128 << 10)

/* Makes accesses to a large block that nobody holds fault, or makes it read as zero. */
static void withdraw(struct large *large) {
    if ((heaps.harden != HARDEN_FULL && large_size(large) <= LARGE_KEPT) || !large_fence_all(large)) {
        large_clear(large);
    }
}

/* Ends a live block beyond the slabs, after checking it and its kind. */
static void end_big(const char *operation, void *block, size_t size, enum origin origin) {
    const size_t room = round_up(size, OS_PAGE);
    if (heaps.harden == HARDEN_FULL) {
        harden_check_kind(operation, block, size, origin);
    }
    if (UNLIKELY(!canary_intact(block, size, room))) {
        damage_overflow(operation, block, size, room);
    }
}

/* Delays the reuse of a freed large block. */
static void detain_large(const char *operation, struct large *large) {
    struct heap *heap = heap_mine;
    if (!sampled_block_end_large(heap, large)) {
        return;
    }
    heap_count_large(heap, -(uint64_t)large_size(large));
    withdraw(large);
    if (heap != &heap_none && !large_advised(large)) {
        lock_take(&heap->lock);
        hardened_keep_large(heap, large);
        lock_give(&heap->lock);
    } else {
        large_destroy(large);
    }
    if (heap != &heap_none) {
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

void free_large_moved(const char *operation, void *block) {
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

/* With harden=full: the block's magazine is full, or was never made. */
static COLD void overflow_exact(void *block, struct heap *heap, size_t size_class, const char *operation) {
    free_overflow(block, HARDENED + size_class, heap);
    sweep_step(heap, operation);
}

/* A block of a slab that the calling thread's heap does not own. First checks and clears the block. */
static bool free_others(const char *operation, void *block, uint32_t entry) {
    const unsigned size_class = entry_class(entry);
    if (!live_test(block)) {
        return false;
    }
    if (heaps.harden == HARDEN_FULL) {
        const struct slot slot = slot_of(block, size_class);
        const unsigned record = record_load(&slot);
        const unsigned ended = record_ended(record);
        /* If two threads free a block, one finds it ended. See harden.h for the order. */
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

/* A slot of another heap, or of no heap. */
static void free_others_slot(const char *operation, void *block, uint32_t entry) {
    if (entry_heap(entry) == HEAP_ABANDONED && adopt_slab(block, entry_class(entry))) {
        free_elsewhere(block, operation);
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

/* Anything that is not a slot of the calling thread's heap. */
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

/* For a heap without hardened blocks, or a thread without a heap. */
static NOINLINE void free_beyond_heap(const char *operation, void *block) {
    if (UNLIKELY(heaps.harden != HARDEN_OFF)) {
        free_beyond_slabs(operation, block);
    } else if (block != NULL) {
        free_elsewhere_plain(block);
    }
}

/* A freed block of the heap's that has left the quarantine. */
ALWAYS_INLINE void put_in_magazine(void *block, struct heap *heap, size_t size_class, const char *operation) {
    void **top = heap->tops[HARDENED + size_class] + 1;
    if (UNLIKELY(magazine_ends_at(top))) {
        overflow_exact(block, heap, size_class, operation);
        return;
    }
    *top = block;
    heap->tops[HARDENED + size_class] = top;
}

/* Ends a block's life by its record; false if another thread frees it at this moment. */
ALWAYS_INLINE bool end_record(const struct slot *slot, unsigned record) {
    record_store(slot, record_ended(record));
    return record_is_live(record);
}

/* With harden=full: a block of the calling thread's own slabs whose life has ended, by its live bit and its record. */
ALWAYS_INLINE void end_slot(const struct slot *slot, unsigned record, struct heap *heap, const char *operation) {
    void *block = slot->start;
    const unsigned size_class = slot->size_class;
    if (LIKELY(harden_end(operation, slot, record))) {
        harden_check_neighbours(operation, slot);
    }
    block = hardened_detain(heap->hardened, size_class, block);
    if (LIKELY(block != NULL)) {
        put_in_magazine(block, heap, size_class, operation);
    }
}

static NOINLINE void end_exact(void *block, struct heap *heap, size_t size_class, const char *operation) {
    const struct slot slot = slot_of(block, (unsigned)size_class);
    end_slot(&slot, record_load(&slot), heap, operation);
}

/* With harden=light: at the end of a magazine, or in the middle of a wide one. */
static NOINLINE void put_light_at_end(void *block, struct heap *heap, size_t size_class) {
    if (magazine_has_room(heap, (unsigned)size_class)) {
        hardened_push(heap, size_class, block);
    } else {
        free_overflow(block, size_class, heap);
    }
}

/* With harden=light: a cleared block of the calling thread's own slabs. */
ALWAYS_INLINE void put_light(struct heap *heap, size_t size_class, void *block) {
    if (UNLIKELY(magazine_ends_at(heap->tops[size_class] + 1))) {
        put_light_at_end(block, heap, size_class);
    } else {
        hardened_push(heap, size_class, block);
    }
}

/* With harden=light and full: a block of the calling thread's own slabs, of any class. */
static NOINLINE void free_own_light(void *block, struct heap *heap, size_t size_class, uint64_t granule,
                                    const char *operation) {
    if (UNLIKELY(!fast_live_end(heap, block, granule))) {
        fault_report(operation, block);
        return;
    }
    if (LIKELY(size_class != EMPTY_CLASS)) {
        zero_write(block, size_class_room((unsigned)size_class));
    }
    put_light(heap, size_class, block);
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

/* Whatever is in the window: an own block that is not short, or any other one. */
static NOINLINE void free_longer(void *block, struct heap *heap, size_t differing, uint64_t granule,
                                 const char *operation) {
    if (LIKELY(differing - OWN_LIGHT < SIZE_CLASSES)) {
        free_own_light(block, heap, differing - OWN_LIGHT, granule, operation);
    } else if (LIKELY(differing - OWN_FULL < SIZE_CLASSES)) {
        free_own_full(block, heap, differing - OWN_FULL, granule, operation);
    } else {
        free_beyond_slabs(operation, block);
    }
}

/* With harden=full: the class has no quarantine yet. */
static COLD void detain_first(void *block, struct heap *heap, size_t size_class, const char *operation) {
    block = hardened_detain_first(heap->hardened, (unsigned)size_class, block);
    if (block != NULL) {
        put_in_magazine(block, heap, size_class, operation);
    }
}

/*
 * These two free short blocks of the calling thread's own slabs, and leave all others to free_longer. They call
 * functions only as the last thing that they do, so that they need not save registers.
 */
static NOINLINE void free_full(void *block, struct heap *heap, size_t differing, uint64_t granule,
                               const char *operation) {
    const size_t size_class = OPAQUE(differing - OWN_FULL);
    if (UNLIKELY(size_class >= SHORT_CLASSES)) {
        free_longer(block, heap, differing, granule, operation);
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
    zero_write(block, slot.room);
    struct hardened *hardened = heap->hardened;
    struct quarantine *quarantine = hardened->quarantines[size_class];
    if (UNLIKELY(quarantine == NULL)) {
        detain_first(block, heap, size_class, operation);
        return;
    }
    block = quarantine_exchange(quarantine, QUARANTINE_MOST, block, hardened_random(hardened));
    if (LIKELY(block != NULL)) {
        put_in_magazine(block, heap, size_class, operation);
    }
}

ALWAYS_INLINE void free_hardened(void *block, struct heap *heap, size_t differing, uint64_t granule,
                                 const char *operation) {
    const size_t size_class = OPAQUE(differing - OWN_LIGHT);
    if (UNLIKELY(size_class >= SHORT_CLASSES)) {
        free_full(block, heap, differing, granule, operation);
        return;
    }
    if (UNLIKELY(!fast_live_end(heap, block, granule))) {
        fault_report(operation, block);
        return;
    }
    zero_write(block, size_class_room_short(size_class));
    put_light(heap, size_class, block);
}

NOINLINE void free_foreign(void *block, struct heap *heap, size_t differing, uint64_t granule, const char *operation) {
    if (heap->hardened != NULL) {
        free_hardened(block, heap, differing, granule, operation);
        return;
    }
    const uint32_t entry = (uint32_t)differing ^ heap->tag;
    if (LIKELY(entry_is_slab(entry) && entry_heap(entry) != HEAP_ABANDONED)) {
        free_remotely(block, entry_class(entry));
    } else if (entry != UNIT_LARGE || UNLIKELY(!free_large(block))) {
        free_heapless(block, entry);
    }
}

NOINLINE void free_elsewhere(void *block, const char *operation) {
    struct heap *heap = heap_mine;
    if (UNLIKELY(heap->hardened == NULL)) {
        free_beyond_heap(operation, block);
    } else if (UNLIKELY(window_granule(block) >= window_granules())) {
        free_beyond_slabs(operation, block);
    } else {
        /* The heap's copy of window.granules was stale. */
        heap_catch_up(heap);
        fast_free(operation, block);
    }
}

void engine_free(void *block) {
    fast_free("free", block);
}

void engine_free_as(const char *operation, void *block) {
    fast_free(operation, block);
}
