/* harden_resize.c - sizes and alignments of hardened blocks. */
#include "harden_resize.h"

#include <errno.h>
#include <string.h>

#include "alloc.h"
#include "engine/memory/huge.h"
#include "engine/memory/large.h"
#include "engine/modes/harden.h"
#include "engine/modes/sampled_block.h"
#include "engine/reports/damage.h"
#include "engine/reports/fault_report.h"
#include "engine/root/engine_options.h"
#include "engine/slabs/lookup.h"
#include "fast_path.h"
#include "harden_free.h"
#include "move_pages.h"
#include "realloc.h"
#include "supply.h"

/* A live block: its kind, its size for its user, and what it may grow to in place. */
struct hardened_block {
    struct block block;
    struct slot slot; /* of a slot, with harden=full */
    size_t size;
    size_t room;
};

/* False, after a report, if no block lives there. */
static bool find(const char *operation, const void *start, struct hardened_block *found) {
    const unsigned size_class = lookup_slot_class(start);
    if (LIKELY(size_class < SIZE_CLASSES)) {
        found->block = (struct block){.kind = BLOCK_SLOT, .start = (uintptr_t)start, .size_class = size_class};
    } else {
        found->block = fault_unless_live(operation, start);
    }
    switch (found->block.kind) {
    case BLOCK_SLOT:
        found->room = size_class_room(found->block.size_class);
        found->size = found->block.size_class != EMPTY_CLASS ? found->room : 0;
        if (heaps.harden == HARDEN_FULL) {
            found->slot = slot_of((void *)found->block.start, found->block.size_class);
            found->size = record_size(&found->slot, record_load(&found->slot));
        }
        return true;
    case BLOCK_SAMPLE:
        found->size = found->room = found->block.size;
        return true;
    case BLOCK_LARGE:
        found->size = large_requested(large_of(start));
        break;
    case BLOCK_HUGE:
        found->size = huge_requested(start);
        break;
    default:
        return false;
    }
    found->room = round_up(found->size, OS_PAGE);
    return true;
}

size_t harden_usable_size(const char *operation, const void *block) {
    struct hardened_block found;
    return find(operation, block, &found) ? found.size : 0;
}

static enum origin origin_of(const struct hardened_block *of) {
    const void *start = (const void *)of->block.start;
    return of->block.kind == BLOCK_SLOT    ? record_origin(record_load(&of->slot))
           : of->block.kind == BLOCK_LARGE ? (enum origin)large_of(start)->origin
                                           : (enum origin)huge_origin(start);
}

/* Whether the block has a canary. */
static bool has_canary(const struct hardened_block *of) {
    return of->block.kind == BLOCK_SLOT ? heaps.harden == HARDEN_FULL && of->block.size_class != EMPTY_CLASS
                                        : of->block.kind != BLOCK_SAMPLE;
}

/* Whether the kind of function that the block came from is known. */
static bool has_origin(const struct hardened_block *of) {
    return of->block.kind == BLOCK_LARGE || of->block.kind == BLOCK_HUGE ||
           (of->block.kind == BLOCK_SLOT && heaps.harden == HARDEN_FULL);
}

static void check(const char *operation, const struct hardened_block *of) {
    void *start = (void *)of->block.start;
    if (has_origin(of)) {
        harden_check_kind(operation, start, of->size, origin_of(of));
    }
    if (has_canary(of) && !canary_intact(start, of->size, of->room)) {
        damage_overflow(operation, start, of->size, of->room);
    }
}

/* Bytes that a block gains in its room become zero, and lose the canary; others read as zero. */
static void move_end(char *start, const struct hardened_block *of, size_t size, size_t room) {
    const size_t gained_end = of->room < size ? of->room : size;
    for (size_t at = of->size; at < gained_end; at++) {
        start[at] = 0;
    }
    canary_write(start, size, room);
}

/* While the canary moves, the record says "not live", so no other thread checks it. */
static void resize_slot(const struct hardened_block *of, size_t size) {
    const enum origin origin = origin_of(of);
    atomic_exchange_explicit(of->slot.record, (uint16_t)record_ended(record_load(&of->slot)), memory_order_seq_cst);
    move_end(of->slot.start, of, size, of->room);
    atomic_store_explicit(of->slot.record, (uint16_t)record_of(&of->slot, size, origin), memory_order_release);
}

/* With its end and its fence. For the profile, a resized block is another block. */
static bool resize_large(const struct hardened_block *of, size_t size) {
    void *start = (void *)of->block.start;
    bool stays = false;
    struct sample *sample = sampled_block_loosen(start, &stays);
    const bool resized = !stays && large_resize_fenced(start, size);
    if (sample != NULL && !resized) {
        sampled_block_tighten(sample);
        return false;
    }
    if (sample != NULL) {
        sampled_block_end(heap_mine, sample);
    }
    if (resized) {
        heap_count_large(heap_mine, large_size(large_of(start)) - of->room);
        move_end(start, of, size, round_up(size, OS_PAGE));
        alloc_count_resized(start, of->size, size);
    }
    return resized;
}

/* With harden=light: whether a slot of a class, but EMPTY_CLASS, keeps its block at another size above 0. */
static bool slot_stays(unsigned size_class, size_t size) {
    const size_t room = size_class_room(size_class);
    return size <= room && (size > realloc_keeps_from(room) || class_fits(size, size_class));
}

/* Whether a block could be resized without moving. */
static bool resize_in_place(const struct hardened_block *of, size_t size) {
    if (of->block.kind == BLOCK_SLOT && heaps.harden == HARDEN_LIGHT) {
        return size != 0 && of->block.size_class != EMPTY_CLASS && slot_stays(of->block.size_class, size);
    }
    if (of->block.kind == BLOCK_SLOT) {
        const bool fits = size != 0 && harden_class(size) == of->block.size_class;
        if (fits) {
            resize_slot(of, size);
        }
        return fits;
    }
    return of->block.kind == BLOCK_LARGE && size > SMALL_MAX && size < HUGE_MIN && resize_large(of, size);
}

/* The system moves a huge block that stays huge. False if it must be copied. */
static bool resize_huge(const struct hardened_block *of, size_t size, void **resized) {
    if (of->block.kind != BLOCK_HUGE || size <= realloc_keeps_from(HUGE_MIN)) {
        return false;
    }
    bool stays;
    struct sample *sample = sampled_block_loosen((void *)of->block.start, &stays);
    if (sample != NULL) {
        sampled_block_end(heap_mine, sample);
    }
    const unsigned origin = huge_origin((void *)of->block.start);
    if (!huge_resize((void *)of->block.start, size, resized) || *resized == NULL) {
        return false;
    }
    move_end(*resized, of, size, round_up(size, OS_PAGE));
    huge_set_origin(*resized, origin);
    return true;
}

/* A block that should shrink, but cannot move for lack of memory, keeps its size. */
static COLD void *keep(void *block, int saved) {
    errno = saved;
    atomic_fetch_sub_explicit(&mems_root.failures, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&mems_root.kept, 1, memory_order_relaxed);
    return block;
}

/* A large block that grows in small steps gets headroom, a part of its fence. */
static void *take_place(const struct hardened_block *of, size_t size) {
    const bool stays_large = of->block.kind == BLOCK_LARGE && size > SMALL_MAX && size < HUGE_MIN / 2;
    const size_t ample = stays_large ? with_headroom(of->size, size) : size;
    void *place = ample != size ? engine_alloc(ample) : NULL;
    if (place == NULL) {
        return engine_alloc(size);
    }
    struct hardened_block taken;
    (void)(find("realloc", place, &taken) && resize_in_place(&taken, size));
    return place;
}

/* Moves the pages of a large block to another, and frees it. False if it must be copied; *lost: `to` is gone. */
static bool move_large(const char *operation, const struct hardened_block *of, void *to, size_t size, bool *lost) {
    void *from = (void *)of->block.start;
    if (of->block.kind != BLOCK_LARGE || size < of->size || !page_map_holds(to) ||
        !move_pages(from, to, of->size, lost)) {
        return false;
    }
    move_end(to, of, size, round_up(size, OS_PAGE));
    harden_free_moved(operation, from);
    return true;
}

static void *move(const char *operation, const struct hardened_block *of, size_t size) {
    const int saved = errno;
    bool lost = false;
    for (;;) {
        const bool copies = lost;
        lost = false;
        void *to = take_place(of, size);
        if (to == NULL) {
            return size <= of->size ? keep((void *)of->block.start, saved) : NULL;
        }
        if (!copies && move_large(operation, of, to, size, &lost)) {
            return to;
        }
        if (LIKELY(!lost)) {
            memcpy(to, (void *)of->block.start, of->size < size ? of->size : size);
            engine_free_as(operation, (void *)of->block.start);
            return to;
        }
        heap_count_large(heap_mine, -(uint64_t)large_size(large_of(to)));
        large_lose(to);
    }
}

static NOINLINE void *realloc_any(const char *operation, void *block, size_t size) {
    struct hardened_block of;
    if (!find(operation, block, &of)) {
        return NULL;
    }
    check(operation, &of);
    void *resized;
    if (size > PTRDIFF_MAX) {
        return out_of_memory();
    }
    if (resize_in_place(&of, size)) {
        return block;
    }
    if (resize_huge(&of, size, &resized)) {
        alloc_count_resized(resized, of.size, size);
        return resized;
    }
    return move(operation, &of, size);
}

/* Copies a block in a slot to another place. */
static void *move_slot(const char *operation, void *block, size_t old_size, size_t size) {
    const int saved = errno;
    void *to = engine_alloc(size);
    if (UNLIKELY(to == NULL)) {
        return size <= old_size ? keep(block, saved) : NULL;
    }
    memcpy(to, block, old_size < size ? old_size : size);
    engine_free_as(operation, block);
    return to;
}

/* With harden=light. */
static void *realloc_slot(const char *operation, void *block, unsigned size_class, size_t size) {
    const size_t room = size_class_room(size_class);
    return slot_stays(size_class, size) ? block : move_slot(operation, block, room, size);
}

/* With harden=full: gives a short block of the thread's own another size in its slot. If a signal handler exits
 * meanwhile, the sweep takes the block for one that is being freed. */
static void resize_short(const struct slot *slot, unsigned record, size_t size) {
    const size_t slack = slot->room - size;
    const uint64_t canary = canary_of(slot->start);
    canary_pair *last = (canary_pair *)(slot->start + slot->room) - 1;
    record_store(slot, record_ended(record));
    atomic_signal_fence(memory_order_seq_cst);
    *last = (*last & ~(canary_mask(record_slack(record)) | canary_mask(slack))) |
            ((canary_pair){canary, canary} & canary_mask(slack));
    atomic_signal_fence(memory_order_seq_cst);
    record_store(slot, record_of_slack(slack, record_origin(record)));
}

/* With harden=full: reallocates a short block in the thread's own slab. False if it is not such a block, or anything is
 * wrong with it. */
static bool realloc_short(const char *operation, void *block, size_t size, void **resized) {
    struct heap *heap = heap_mine;
    if (UNLIKELY(heap->hardened == NULL || window_granule(block) >= window_granules())) {
        return false;
    }
    const size_t size_class = fast_class(heap, block);
    if (size_class >= SHORT_CLASSES || !live_test(block)) {
        return false;
    }
    const struct slot slot = harden_slot_short(heap, block, size_class);
    const unsigned record = record_load(&slot);
    const size_t slack = record_slack(record);
    if (UNLIKELY(!record_is_live(record) || record_origin(record) != ORIGIN_MALLOC || slack > sizeof(canary_pair) ||
                 !canary_intact_short(block, slack, slot.room))) {
        return false;
    }
    if (size / GRANULE == size_class) {
        resize_short(&slot, record, size);
        *resized = block;
    } else {
        *resized = move_slot(operation, block, slot.room - slack, size);
    }
    return true;
}

void *harden_realloc(const char *operation, void *block, size_t size) {
    if (LIKELY(size - 1 < SMALL_MAX)) {
        const bool light = heaps.harden == HARDEN_LIGHT;
        const unsigned size_class = light ? lookup_slot_class(block) : SIZE_CLASSES;
        if (size_class < EMPTY_CLASS) {
            return realloc_slot(operation, block, size_class, size);
        }
        void *resized;
        if (!light && realloc_short(operation, block, size, &resized)) {
            return resized;
        }
    }
    return realloc_any(operation, block, size);
}

/* A block's class follows from its alignment and its size, but several alignments may lead to the same. */
static void check_alignment(const char *operation, const struct hardened_block *of, size_t alignment) {
    if (of->block.kind != BLOCK_SLOT || origin_of(of) != harden_origin(operation) ||
        mems_root.options.kinds == KINDS_OFF) {
        return;
    }
    const unsigned size_class =
        alignment <= GRANULE ? harden_class(of->size) : harden_class_aligned(alignment, of->size);
    if (UNLIKELY(size_class != of->block.size_class)) {
        fault_report_alignment(operation, (void *)of->block.start, alignment, mems_root.options.kinds == KINDS_ABORT);
    }
}

void harden_free_aligned(const char *operation, void *block, size_t alignment) {
    struct hardened_block of;
    if (block == NULL || !find(operation, block, &of)) {
        return;
    }
    check_alignment(operation, &of, alignment);
    engine_free_as(operation, block);
}

void harden_free_sized(const char *operation, void *block, size_t size, size_t alignment) {
    struct hardened_block of;
    if (!find(operation, block, &of)) {
        return;
    }
    const bool kept = atomic_load_explicit(&mems_root.kept, memory_order_relaxed) != 0;
    const bool aligned = alignment == 0 || (uintptr_t)block % alignment == 0;
    if (UNLIKELY(!aligned || (kept ? size > of.size : size != of.size && !(size == 0 && of.size == 1)))) {
        fault_report_size(operation, block, size);
        return;
    }
    if (operation[0] == 'a') {
        check_alignment(operation, &of, alignment);
    }
    engine_free_as(operation, block);
}

/* To the end of the live block around an address; SIZE_MAX if none is found without a lock. */
static size_t bytes_left(const void *address) {
    if (!page_map_holds(address)) {
        return SIZE_MAX;
    }
    const struct block block = block_at(address);
    const size_t into = (uintptr_t)address - block.start;
    size_t size = block.size;
    if ((block.kind != BLOCK_SLOT && block.kind != BLOCK_LARGE) || block.state != BLOCK_STATE_LIVE) {
        return SIZE_MAX;
    }
    if (heaps.harden == HARDEN_FULL && block.kind == BLOCK_SLOT) {
        const struct slot slot = slot_of((void *)block.start, block.size_class);
        const unsigned record = record_load(&slot);
        if (!record_is_live(record)) {
            return SIZE_MAX;
        }
        size = record_size(&slot, record);
    } else if (heaps.harden != HARDEN_OFF && block.kind == BLOCK_LARGE) {
        size = large_requested(large_of((void *)block.start));
    }
    return into < size ? size - into : 0;
}

void engine_check_write(const char *function, const void *address, size_t size) {
    const size_t left = root_ready() ? bytes_left(address) : SIZE_MAX;
    if (UNLIKELY(size > left)) {
        damage_ahead(function, address, size, left);
    }
}
