/*
 * harden.h - blocks in the hardened modes: how they begin and end, and what is checked.
 *
 *                        light                                full
 *   a block              as usual, from a random slot         has an exact size, and a canary behind it
 *   no bytes             faults when touched                  the same
 *   freed                is zeroed                            is checked, zeroed, and stays in quarantine
 *   a slot handed out                                         was zero
 *   a large block        ends with a canary and a guard       the same
 *   freed                is zeroed                            faults when touched
 *
 * No fast path asks for the mode, so harden=off costs nothing. With light, malloc's fast path is the usual one. With
 * full, its magazines are always empty, so all calls go through alloc_slow. In both, free's fast path believes that the
 * window is empty (heap.h), and calls free_elsewhere. Short blocks, those of the first SHORT_CLASSES, have their own
 * functions there, which leave whatever looks wrong to the general ones.
 *
 * A remote free first marks the block's record as freed, then checks and clears the block, and only then sets the
 * remote bit. So a thread that looks at live blocks of its slabs (neighbours, sweep) may meanwhile find a canary
 * changed; it reads record and canary again before it reports that.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "engine/heaps/hardened_heap.h"
#include "engine/reports/damage.h"
#include "engine/slabs/slot_record.h"
#include "engine/tables/canary.h"
#include "os/os.h"

/* Part of the engine's start, before the size classes are set up: what each class needs. */
void harden_start(unsigned harden);

/* harden_class for sizes that may fill a slot that ends with a guard. */
COLD unsigned harden_class_at_page(size_t size);

/* With harden=full: the class for a block of this size; SIZE_CLASSES if it is large. */
ALWAYS_INLINE unsigned harden_class(size_t size) {
    if (UNLIKELY(size % OS_PAGE == 0 || size > SMALL_MAX)) {
        return harden_class_at_page(size);
    }
    return size_class_of(size + 1); /* leaves at least one byte */
}

/* The same for an aligned one. */
unsigned harden_class_aligned(size_t alignment, size_t size);

/* In a forked child, before frees are collected: finishes what other threads were handing out or freeing, according to
 * records and bits. The kernel copies pages while these threads run, so the child's copy of a block may be older or
 * newer than that of its record. That looks like damage, so earlier damage is not reported here. */
void harden_recover(void);

/* Reports that a slot of a class, about to be handed out, is not zero; and clears it. */
COLD void harden_tell_after_free(void *start, unsigned size_class);

_Static_assert(CANARY_INLINE_MAX == SHORT_CLASSES * GRANULE, "short blocks are cleared and checked without a loop");
_Static_assert(QUARANTINE_BYTES >= QUARANTINE_MOST * CANARY_INLINE_MAX, "and have whole quarantines");

/* slot_of for one of the first SHORT_CLASSES, in a slab of the heap. */
ALWAYS_INLINE struct slot harden_slot_short(const struct heap *heap, void *start, size_t size_class) {
    const uint32_t number = size_class_slot(size_class, (uintptr_t)start % UNIT);
    return (struct slot){
        .start = start,
        .room = size_class_room_short(size_class),
        .record = (_Atomic uint16_t *)(heap->records_of_zero + (uintptr_t)start / UNIT * RECORDS_BYTES) + number,
        .size_class = (unsigned)size_class,
        .number = number,
    };
}

/* With harden=full: makes a block of a slot that any heap has just handed out. */
ALWAYS_INLINE void harden_begin(const struct slot *slot, size_t size, enum origin origin) {
    if (LIKELY(slot->size_class != EMPTY_CLASS)) {
        if (UNLIKELY(!zero_intact(slot->start, slot->room))) {
            harden_tell_after_free(slot->start, slot->size_class);
        }
        canary_write_zero(slot->start, size, slot->room);
    }
    record_store(slot, record_of(slot, size, origin));
}

/* Changes the recorded origin of a block, if it is in a slot. Returns the block. */
void *harden_set_origin(void *block, enum origin origin);

/* Gives a large or huge block its canary. */
void harden_begin_big(void *block, size_t size, enum origin origin);

/* With harden=full: the kind of blocks that a function takes, by its name, such as "free" or "operator delete[]". */
ALWAYS_INLINE enum origin harden_origin(const char *operation) {
    if (LIKELY(operation[0] != 'o' && operation[0] != 'a')) {
        return ORIGIN_MALLOC;
    }
    if (operation[0] == 'a') {
        return operation[sizeof "aligned operator delete" - 1] == '[' ? ORIGIN_NEW_ARRAY_ALIGNED : ORIGIN_NEW_ALIGNED;
    }
    return operation[sizeof "operator delete" - 1] == '[' ? ORIGIN_NEW_ARRAY : ORIGIN_NEW;
}

/* Reports that a block is not of the kind that a function takes, unless kinds=off. */
COLD void harden_tell_kind(const char *operation, void *block, size_t size, enum origin origin);

ALWAYS_INLINE void harden_check_kind(const char *operation, void *block, size_t size, enum origin origin) {
    if (UNLIKELY(harden_origin(operation) != origin)) {
        harden_tell_kind(operation, block, size, origin);
    }
}

/* Checks a live block in a slot with this record, which is about to end, and clears it. False for a zero-size block. */
ALWAYS_INLINE bool harden_end(const char *operation, const struct slot *slot, unsigned record) {
    const size_t size = record_size(slot, record);
    harden_check_kind(operation, slot->start, size, record_origin(record));
    if (UNLIKELY(slot->size_class == EMPTY_CLASS)) {
        return false;
    }
    if (UNLIKELY(!canary_intact(slot->start, size, slot->room))) {
        damage_overflow(operation, slot->start, size, slot->room);
    }
    zero_write(slot->start, slot->room);
    return true;
}

/* Looks again at a slot whose canary seemed changed. True if it is not, or is not that of a live block. */
bool harden_intact_again(const struct slot *slot, unsigned record);

/* Whether the canary of a slot's block, if there is one, is intact; for the thread that owns the slab. */
ALWAYS_INLINE bool harden_intact(const struct slot *slot) {
    const unsigned record = record_load(slot);
    return !record_is_live(record) || LIKELY(canary_intact(slot->start, record_size(slot, record), slot->room)) ||
           harden_intact_again(slot, record);
}

/* Looks again at a slot of a class whose canary seemed changed, and reports it if it is. */
COLD void harden_tell_overflow(const char *operation, void *start, unsigned size_class);

/* Whether the end of the canary is intact in the slot before (-1) or behind (1) another one of the same slab, with this
 * record; true if no block lives there: then it looks at the slot itself, with a slack of 0, because whether a
 * neighbour lives is hard to predict for a branch. */
ALWAYS_INLINE bool harden_beside_intact(const struct slot *slot, ptrdiff_t by, size_t stride, size_t record) {
    const size_t if_live = -(record & RECORD_LIVE);
    return canary_end_intact(slot->start + (by * (ptrdiff_t)stride & (ptrdiff_t)if_live),
                             record >> RECORD_SLACK_SHIFT & if_live, slot->room);
}

/* The same for both, even if neither lives. Their records are adjacent, and the one behind the last slot's is not live
 * (size_class_start). */
ALWAYS_INLINE bool harden_neighbours_intact(const struct slot *slot, size_t stride) {
    const size_t before = LIKELY(slot->number != 0) ? atomic_load_explicit(slot->record - 1, memory_order_relaxed) : 0;
    const size_t after = atomic_load_explicit(slot->record + 1, memory_order_relaxed);
    return LIKELY(harden_beside_intact(slot, -1, stride, before)) &&
           LIKELY(harden_beside_intact(slot, 1, stride, after));
}

/* Whether a live block of one of the first SHORT_CLASSES may end, and be cleared, without a report: it is of the kind
 * that the function takes, and its canary and its neighbours' are intact. */
ALWAYS_INLINE bool harden_ends_short(const char *operation, const struct slot *slot, unsigned record) {
    const enum origin origin = LIKELY(operation[0] == 'f') ? ORIGIN_MALLOC : harden_origin(operation);
    const size_t slack = record_slack(record);
    return LIKELY(record_origin(record) == origin) && LIKELY(slack <= sizeof(canary_pair)) &&
           LIKELY(canary_intact_short(slot->start, slack, slot->room)) &&
           LIKELY(harden_neighbours_intact(slot, slot->room));
}

/* The same, with a report. */
ALWAYS_INLINE void harden_check_beside(const char *operation, const struct slot *slot, ptrdiff_t by) {
    const unsigned record = atomic_load_explicit(slot->record + by, memory_order_relaxed);
    char *start = slot->start + by * (ptrdiff_t)size_classes[slot->size_class].size;
    if (record_is_live(record) && UNLIKELY(!canary_end_intact(start, record >> RECORD_SLACK_SHIFT, slot->room))) {
        harden_tell_overflow(operation, start, slot->size_class);
    }
}

/* Checks the live neighbours of a block that is being freed by the thread that owns the slab. */
ALWAYS_INLINE void harden_check_neighbours(const char *operation, const struct slot *slot) {
    if (LIKELY(slot->number != 0)) {
        harden_check_beside(operation, slot, -1);
    }
    harden_check_beside(operation, slot, 1);
}
