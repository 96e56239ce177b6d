#include "harden.h"

#include "engine/memory/harden_guards.h"
#include "engine/memory/huge.h"
#include "engine/memory/large.h"
#include "engine/memory/spans.h"
#include "engine/reports/damage.h"
#include "engine/root/engine_options.h"
#include "engine/root/root.h"
#include "engine/slabs/slab.h"
#include "engine/tables/live_map.h"

void harden_start(unsigned harden) {
    if (harden != HARDEN_OFF) {
        guards_start();
        canary_start();
        large_fence_ends(guard_size());
        huge_table.guard = guard_size();
    }
}

unsigned harden_class_at_page(size_t size) {
    if (size > SMALL_MAX) {
        return SIZE_CLASSES;
    }
    unsigned size_class = size_class_of(size);
    if (size == size_class_room(size_class) && size_classes[size_class].guard_pages == 0) {
        size_class = size < SMALL_MAX ? size_class_of(size + 1) : SIZE_CLASSES;
    }
    return size_class;
}

unsigned harden_class_aligned(size_t alignment, size_t size) {
    unsigned size_class = size_class_of_aligned(alignment, size);
    if (size_class < SIZE_CLASSES && size == size_class_room(size_class) && size_classes[size_class].guard_pages == 0) {
        size_class = size_class_of_aligned(alignment, size + 1);
    }
    return size_class < SIZE_CLASSES && size_class_room(size_class) - size <= RECORD_SLACK_MAX ? size_class
                                                                                               : SIZE_CLASSES;
}

void *harden_set_origin(void *block, enum origin origin) {
    const uint32_t entry = page_map_load(window_unit(block));
    if (entry_is_slab(entry)) {
        const struct slot slot = slot_of(block, entry_class(entry));
        record_store(&slot, record_of(&slot, record_size(&slot, record_load(&slot)), origin));
    }
    return block;
}

void harden_begin_big(void *block, size_t size, enum origin origin) {
    canary_write(block, size, round_up(size, OS_PAGE));
    if (page_map_holds(block)) {
        large_of(block)->origin = (uint8_t)origin;
    } else {
        huge_set_origin(block, origin);
    }
}

void harden_tell_kind(const char *operation, void *block, size_t size, enum origin origin) {
    if (mems_root.options.kinds != KINDS_OFF) {
        damage_kind(operation, block, size, origin);
    }
}

/* Writes what is there already, for its release: the canary was read before the record. */
bool harden_intact_again(const struct slot *slot, unsigned record) {
    return atomic_fetch_or_explicit(slot->record, 0, memory_order_acq_rel) != record ||
           canary_intact(slot->start, record_size(slot, record), slot->room);
}

void harden_tell_overflow(const char *operation, void *start, unsigned size_class) {
    const struct slot slot = slot_of(start, size_class);
    if (!harden_intact(&slot)) {
        damage_overflow(operation, start, record_size(&slot, record_load(&slot)), slot.room);
    }
}

void harden_tell_after_free(void *start, unsigned size_class) {
    const struct slot slot = slot_of(start, size_class);
    damage_after_free("malloc", &slot, record_load(&slot));
}

/* Leaves alone a slot with a live bit, not freed remotely, and without a live record: it may be changing. */
static void recover_slot(const struct slot *slot) {
    const unsigned record = record_load(slot);
    const bool freed = live_freed_remotely(slot->start);
    if (record_is_live(record) && !freed) {
        const size_t size = record_size(slot, record);
        if (!canary_intact(slot->start, size, slot->room)) {
            canary_write(slot->start, size, slot->room);
        }
    } else if (freed || !live_bit_is_set(slot->start)) {
        if (record_is_live(record)) {
            record_store(slot, record_ended(record));
        }
        if (!zero_intact(slot->start, slot->room)) {
            zero_write(slot->start, slot->room);
        }
    }
}

static void recover_slab(const struct slab *slab, unsigned size_class) {
    char *start = window_address(slab->span.first);
    for (unsigned number = 0; number < slab_used(slab); number++) {
        const size_t offset = number * (size_t)size_classes[size_class].size;
        if (!slab_absent(slab, offset, offset + size_class_room(size_class))) {
            const struct slot slot = slot_of(start + offset, size_class);
            recover_slot(&slot);
        }
    }
}

void harden_recover(void) {
    for (size_t unit = 0; heaps.harden == HARDEN_FULL && unit < spans.top; unit++) {
        const uint32_t entry = page_map_load(unit);
        if (entry_is_slab(entry) && entry_class(entry) != EMPTY_CLASS && window.spans[unit]->first == unit) {
            recover_slab(CONTAINER_OF(window.spans[unit], struct slab, span), entry_class(entry));
        }
    }
}
