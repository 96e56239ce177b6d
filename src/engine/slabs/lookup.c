#include "lookup.h"

#include "base/bits.h"
#include "base/compiler.h"
#include "engine/memory/huge.h"
#include "engine/memory/large.h"
#include "engine/samples/sample.h"
#include "engine/tables/live_map.h"
#include "slab.h"

static enum block_state slot_state(const struct slab *slab, uint32_t slot, const void *start) {
    if (live_test(start)) {
        return BLOCK_STATE_LIVE;
    }
    if (slab_slot_free(slab, slot)) {
        return BLOCK_STATE_FREE;
    }
    return live_freed_remotely(start) ? BLOCK_STATE_REMOTE : BLOCK_STATE_CACHED;
}

/* The first unit of the span around a used unit. SIZE_MAX if the span has gone: another thread may just have freed the
 * same block, and then the descriptor holds anything. Volatile, so that the value that is checked is the one used. */
static size_t first_unit(size_t unit) {
    const struct span *span = window.spans[unit];
    const size_t first = span != NULL ? *(const volatile uint32_t *)&span->first : SIZE_MAX;
    return first <= unit ? first : SIZE_MAX;
}

static struct block block_in_slab(const void *address, unsigned size_class, size_t first) {
    const struct slab *slab = slab_of(address);
    uintptr_t start = (uintptr_t)window_address(first);
    const size_t stride = size_classes[size_class].size;
    struct block block = {.kind = BLOCK_SLOT, .size_class = size_class, .size = size_class_room(size_class)};
    block.slot = size_class_slot(size_class, (uintptr_t)address - start);
    block.start = start + block.slot * stride;
    if (block.slot >= slab->slots || block.slot >= size_classes[size_class].slots) {
        block.kind = BLOCK_TAIL;
    } else {
        block.state = slot_state(slab, block.slot, (const void *)block.start);
    }
    return block;
}

static struct block block_sampled(const void *address) {
    const struct sample *sample = sample_at(address);
    struct block block = {.kind = BLOCK_UNUSED};
    if (sample != NULL) {
        block.kind = BLOCK_SAMPLE;
        block.state = sample_is_live(sample) ? BLOCK_STATE_LIVE : BLOCK_STATE_FREE;
        block.start = sample->start;
        block.size = sample->size;
    }
    return block;
}

static struct block block_large(const void *address, size_t first) {
    const struct large *large = large_of(address);
    return (struct block){
        .kind = BLOCK_LARGE,
        .state = page_map_load(first) == UNIT_LARGE ? BLOCK_STATE_LIVE
                 : large->fence == FENCE_ALL        ? BLOCK_STATE_QUARANTINED
                                                    : BLOCK_STATE_CACHED,
        .start = (uintptr_t)window_address(first),
        .size = large_size(large),
    };
}

static struct block block_free(size_t unit) {
    const struct free_span *around = span_around(unit);
    return (struct block){
        .kind = BLOCK_FREE,
        .size = around != NULL ? (size_t)around->span.units << UNIT_SHIFT : UNIT,
        .start = (uintptr_t)window_address(around != NULL ? around->span.first : unit),
    };
}

static struct block block_in_unit(const void *address, size_t unit, uint32_t entry) {
    if (entry == UNIT_SAMPLES) {
        return block_sampled(address);
    }
    const bool is_large = entry == UNIT_LARGE || entry == UNIT_PART;
    const size_t first = is_large || entry_is_slab(entry) ? first_unit(unit) : SIZE_MAX;
    if (first != SIZE_MAX) {
        return is_large ? block_large(address, first) : block_in_slab(address, entry_class(entry), first);
    }
    const bool is_free = is_large || entry_is_slab(entry) || entry_is_free(entry) || entry == UNIT_PURGING;
    return is_free ? block_free(unit) : (struct block){.kind = BLOCK_UNUSED};
}

/* Reads again if the unit has changed meanwhile, because then what was read may be a mixture. */
static struct block block_in_window(const void *address) {
    const size_t unit = window_unit(address);
    for (;;) {
        const uint32_t entry = page_map_load(unit);
        const struct block block = block_in_unit(address, unit, entry);
        if (page_map_load(unit) == entry) {
            return block;
        }
    }
}

struct block block_at(const void *address) {
    if (page_map_holds(address)) {
        return block_in_window(address);
    }
    struct block block = {.kind = BLOCK_OUTSIDE};
    if (huge_find(address, &block.start, &block.size)) {
        block.kind = BLOCK_HUGE;
    } else if (huge_find_freed(address, &block.start, &block.size)) {
        block.kind = BLOCK_HUGE_FREED;
    } else if (window_holds(address)) {
        block = block_in_window(address);
    } else if (window_tables_hold(address)) {
        block.kind = BLOCK_METADATA;
    } else if ((uintptr_t)address - window.base < window.units_area.size) {
        block.kind = BLOCK_UNUSED;
    }
    return block;
}

/* As in fast_free: one comparison proves that the address is in the window and aligned, the live bit that it is a
 * start. */
unsigned lookup_slot_class(const void *block) {
    uint64_t granule = rotate_right((uintptr_t)block - window.base, GRANULE_SHIFT);
    if (UNLIKELY(granule >= window_granules())) {
        return SIZE_CLASSES;
    }
    uint32_t entry = page_map_load(granule >> (UNIT_SHIFT - GRANULE_SHIFT));
    return entry_is_slab(entry) && live_test(block) ? entry_class(entry) : SIZE_CLASSES;
}

/* The entry is read again after the descriptor, which holds anything if another thread has just freed the block. */
size_t lookup_large_requested(const void *block) {
    const uint64_t unit = rotate_right((uintptr_t)block - window.base, UNIT_SHIFT);
    if (UNLIKELY(unit >= window_granules() >> (UNIT_SHIFT - GRANULE_SHIFT)) || page_map_load(unit) != UNIT_LARGE ||
        UNLIKELY(window.spans[unit] == NULL)) {
        return 0;
    }
    const size_t requested = large_requested(large_of(block));
    return page_map_load(unit) == UNIT_LARGE ? requested : 0;
}
