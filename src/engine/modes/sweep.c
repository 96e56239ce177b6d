#include "sweep.h"

#include "engine/heaps/cached_blocks.h"
#include "engine/heaps/hardened_heap.h"
#include "engine/heaps/hardened_larges.h"
#include "engine/memory/huge.h"
#include "engine/memory/large.h"
#include "engine/reports/damage.h"
#include "engine/slabs/abandoned.h"
#include "engine/slabs/slab.h"
#include "engine/tables/live_map.h"
#include "harden.h"
#include "os/os.h"

/* Reading this many bytes of a slot costs as much as another slot. */
#define SLOT_BYTES ((size_t)512)

/* With harden=light: a slot without a block reads as zero. A remotely freed one is live until collected. */
ALWAYS_INLINE bool reads_as_free(const char *start, size_t room) {
    return live_bit_is_set(start) || zero_intact(start, room);
}

static bool slot_intact(const struct slot *slot) {
    if (slot->record == NULL) {
        return reads_as_free(slot->start, slot->room);
    }
    if (live_test(slot->start)) {
        return harden_intact(slot);
    }
    /* Remotely freed blocks too: they are cleared before their remote bit is set. */
    return record_is_live(record_load(slot)) || zero_intact(slot->start, slot->room);
}

/* The same by the record alone. Wrong about a slot that another thread is freeing just now. */
ALWAYS_INLINE bool looks_intact(const char *start, size_t room, unsigned record) {
    return record_is_live(record) ? canary_intact(start, room - record_slack(record), room) : zero_intact(start, room);
}

/* Damage found by a sweep: in a slot, which has no record with harden=light, or, if `size` is not 0, in a block of that
 * size outside the slabs. */
struct finding {
    struct slot slot;
    size_t size;
};

/* Set in a child that was forked while other threads ran, with harden=light: its copies of slots may be older than
 * those threads' clearing. */
static bool stopped;

void sweep_stop(void) {
    stopped = heaps.harden == HARDEN_LIGHT;
}

static struct slot slot_to_check(char *start, unsigned size_class) {
    return heaps.harden == HARDEN_FULL
               ? slot_of(start, size_class)
               : (struct slot){.start = start, .room = size_class_room(size_class), .size_class = size_class};
}

/* Whether the free of a slot's block is complete: the slab has it, or the heap's caches. A signal handler that exits
 * may have interrupted its thread between the end of a block's life and its clearing. */
static bool is_put_away(const struct slab *slab, const struct slot *slot) {
    const struct heap *heap = heap_mine;
    const size_t offset = (uintptr_t)slot->start - (uintptr_t)window_address(slab->span.first);
    if (slab_slot_free(slab, size_class_slot(slot->size_class, offset))) {
        return true;
    }
    return entry_heap(page_map_load(slab->span.first)) == heap->id &&
           (cached_holds(heap, slot->size_class, slot->start) || hardened_detains(slot->start));
}

/* Checks the used slots of a slab from an offset on, and one more, where the last one's overflow would be. Skips slots
 * whose pages were purged, which reading would bring back. True if one is damaged: *found. */
static bool check_slab(const struct slab *slab, size_t *from, size_t *budget, struct finding *found) {
    const unsigned size_class = slab_class(slab);
    if (size_class == EMPTY_CLASS) {
        return false;
    }
    const size_t stride = size_classes[size_class].size;
    const size_t room = size_class_room(size_class);
    const size_t cost = 1 + stride / SLOT_BYTES;
    char *start = window_address(slab->span.first);
    const size_t end = min_size(slab_used(slab) + 1, slab->slots) * stride;
    /* Since the last step, a slab of other slots may have taken this place. */
    size_t offset = *from - *from % stride;
    const bool exact = heaps.harden == HARDEN_FULL;
    const _Atomic uint16_t *record = exact ? slot_of(start, size_class).record : NULL;
    size_t present = 0; /* up to here, the slots' pages are present */
    bool damaged = false;
    for (; offset < end && *budget != 0; offset += stride) {
        if (UNLIKELY(offset + stride > present)) {
            if (slab_absent(slab, offset, offset + stride)) {
                continue;
            }
            present = round_up(offset + stride, OS_PAGE);
        }
        *budget -= cost < *budget ? cost : *budget;
        const bool intact = exact ? looks_intact(start + offset, room,
                                                 atomic_load_explicit(record + offset / stride, memory_order_relaxed))
                                  : reads_as_free(start + offset, room);
        if (UNLIKELY(!intact)) {
            found->slot = slot_to_check(start + offset, size_class);
            damaged =
                !slot_intact(&found->slot) && (live_bit_is_set(start + offset) || is_put_away(slab, &found->slot));
            if (damaged) {
                break;
            }
        }
    }
    *from = offset;
    return damaged;
}

/* The same for a large block. Only if there is no other thread, which might free and fence it meanwhile. */
static bool check_large(size_t unit, struct finding *found) {
    if (!os_single_threaded() || page_map_load(unit) != UNIT_LARGE) {
        return false;
    }
    char *start = window_address(unit);
    const size_t size = large_requested(large_of(start));
    const size_t room = round_up(size, OS_PAGE);
    if (canary_intact(start, size, room)) {
        return false;
    }
    *found = (struct finding){.slot = {.start = start, .room = room}, .size = size};
    return true;
}

/* The slab that begins at a unit, if it belongs to the heap. */
static struct slab *own_slab(const struct heap *heap, size_t unit) {
    const uint32_t entry = page_map_load(unit);
    if (!entry_is_slab(entry) || entry_heap(entry) != heap->id) {
        return NULL;
    }
    struct slab *slab = CONTAINER_OF(window.spans[unit], struct slab, span);
    return slab->span.first == unit ? slab : NULL;
}

/* Asks for the ends of the slots that the next step begins with, which no call may have touched for long. */
static void prefetch_next(const struct heap *heap) {
    const struct hardened *hardened = heap->hardened;
    const bool made = hardened->sweep_unit < window_granules() >> (UNIT_SHIFT - GRANULE_SHIFT);
    const struct slab *slab = made ? own_slab(heap, hardened->sweep_unit) : NULL;
    if (slab == NULL || slab_class(slab) == EMPTY_CLASS) {
        return;
    }
    const size_t stride = size_classes[slab_class(slab)].size;
    const char *last = (char *)window_address(slab->span.first) + hardened->sweep_offset + stride - CANARY_WORD;
    for (unsigned i = 0; i < SWEEP_SLOTS; i++, last += stride) {
        PREFETCH(last);
    }
}

/* Under the heap's lock, so that none of its slabs ends meanwhile. Goes through the window at most once. */
static bool search(struct heap *heap, size_t budget, struct finding *found) {
    struct hardened *hardened = heap->hardened;
    const size_t top = window_granules() >> (UNIT_SHIFT - GRANULE_SHIFT);
    size_t units = budget < top ? budget : top;
    for (; units != 0 && budget != 0; units--) {
        hardened->sweep_unit = hardened->sweep_unit < top ? hardened->sweep_unit : 0;
        struct slab *slab = own_slab(heap, hardened->sweep_unit);
        if (slab != NULL ? check_slab(slab, &hardened->sweep_offset, &budget, found)
                         : check_large(hardened->sweep_unit, found)) {
            return true;
        }
        if (budget != 0) {
            hardened->sweep_unit++;
            hardened->sweep_offset = 0;
        }
    }
    prefetch_next(heap);
    return false;
}

static bool huge_intact(const void *start, size_t size) {
    return canary_intact(start, size, round_up(size, OS_PAGE));
}

/* Without a lock. */
static COLD void tell(const char *operation, const struct finding *found) {
    const struct slot *slot = &found->slot;
    const unsigned record = slot->record != NULL ? record_load(slot) : 0;
    if (found->size != 0) {
        damage_overflow(operation, slot->start, found->size, slot->room);
    } else if (record_is_live(record)) {
        damage_overflow(operation, slot->start, record_size(slot, record), slot->room);
    } else {
        damage_after_free(operation, slot, record);
    }
}

/* Gives back the heap's lock, which the caller has taken. */
static void sweep(struct heap *heap, size_t budget, const char *operation) {
    struct finding found = {0};
    const bool damaged = search(heap, budget, &found);
    lock_give(&heap->lock);
    if (UNLIKELY(damaged)) {
        tell(operation, &found);
    }
    size_t size;
    void *huge = huge_find_broken(huge_intact, &size);
    if (UNLIKELY(huge != NULL)) {
        damage_overflow(operation, huge, size, round_up(size, OS_PAGE));
    }
}

void sweep_step(struct heap *heap, const char *operation) {
    struct hardened *hardened = heap->hardened;
    const bool early = hardened->sweeps < SWEEPS_EARLY;
    hardened->sweeps += early;
    heap->until_sweep = hardened->sweeps <= SWEEPS_AT_ONCE ? 1 : SWEEP_CALLS;
    lock_take(&heap->lock);
    sweep(heap, early ? SWEEP_SLOTS_EARLY : SWEEP_SLOTS, operation);
}

/* Gives back the heap's lock, which the caller has taken. */
static void sweep_kept(struct heap *heap, const char *operation) {
    const struct large *written = hardened_find_written(heap);
    void *start = written != NULL ? window_address(written->span.first) : NULL;
    const size_t size = written != NULL ? large_requested(written) : 0;
    lock_give(&heap->lock);
    if (UNLIKELY(written != NULL)) {
        damage_after_free_large(operation, start, size);
    }
}

static size_t last_slots(void) {
    return heaps.harden == HARDEN_FULL ? SWEEP_SLOTS_LAST : SWEEP_SLOTS_LAST_LIGHT;
}

static bool check_all_of(const struct slab *slab, size_t *budget, struct finding *found) {
    size_t offset = 0;
    return slab != NULL && check_slab(slab, &offset, budget, found);
}

/* The slabs of a list, under the lock that it needs. */
static bool check_list(const struct list *slabs, size_t *budget, struct finding *found) {
    for (const struct list *at = slabs->next; at != slabs && *budget != 0; at = at->next) {
        if (check_all_of(CONTAINER_OF(at, struct slab, link), budget, found)) {
            return true;
        }
    }
    return false;
}

/* The heap's slabs, without a walk through the window. */
static void sweep_own(struct heap *heap, size_t budget, const char *operation) {
    struct finding found = {0};
    bool damaged = false;
    lock_take(&heap->lock);
    for (unsigned size_class = 0; size_class < SIZE_CLASSES && !damaged; size_class++) {
        damaged = check_list(&heap->classes[size_class].slabs, &budget, &found);
    }
    lock_give(&heap->lock);
    if (UNLIKELY(damaged)) {
        tell(operation, &found);
    }
}

void sweep_ending(struct heap *heap, const char *operation) {
    sweep_own(heap, SWEEP_SLOTS_ENDING, operation);
}

void sweep_arena(struct heap *heap, const char *operation) {
    sweep_own(heap, SIZE_MAX, operation);
}

void sweep_light(struct heap *heap, const char *operation) {
    struct hardened *hardened = heap->hardened;
    if (UNLIKELY(hardened->sweeps < SWEEPS_LIGHT && !stopped)) {
        hardened->sweeps++;
        sweep_own(heap, SWEEP_SLOTS_LIGHT, operation);
    }
}

/* Slabs of no heap. Other threads may be beginning or ending blocks in them without the lock; these still have, or
 * already have, their live bit, which changes under it (see slot_intact). */
static void sweep_abandoned(const char *operation) {
    size_t budget = last_slots();
    for (unsigned size_class = 0; size_class < SIZE_CLASSES; size_class++) {
        struct abandoned *of = &abandoned[size_class];
        struct finding found = {0};
        if (!lock_try(&of->lock)) {
            continue;
        }
        const bool damaged = check_all_of(of->shared, &budget, &found) || check_list(&of->slabs, &budget, &found);
        lock_give(&of->lock);
        if (damaged) {
            tell(operation, &found);
        }
    }
}

void sweep_all(struct heap *heap, const char *operation) {
    if (stopped) {
        return;
    }
    if (heap != &heap_none && lock_try(&heap->lock)) {
        heap->hardened->sweep_unit = 0;
        heap->hardened->sweep_offset = 0;
        sweep(heap, last_slots(), operation);
        lock_take(&heap->lock);
        sweep_kept(heap, operation);
    }
    sweep_abandoned(operation);
}
