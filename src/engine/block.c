#include "block.h"

#include <string.h>

#include "base/fault.h"
#include "base/fmt.h"
#include "huge.h"
#include "large.h"
#include "slab.h"

#define STATE_TEXT 160

static enum block_state slot_state(const struct slab *slab, uint32_t slot, const void *start) {
    if (live_test(start)) {
        return BLOCK_STATE_LIVE;
    }
    return slab_slot_free(slab, slot) ? BLOCK_STATE_FREE : BLOCK_STATE_CACHED;
}

static struct block block_in_slab(const void *address, unsigned size_class) {
    const struct slab *slab = slab_of(address);
    uintptr_t start = (uintptr_t)window_address(slab->span.first);
    struct block block = {.kind = BLOCK_SLOT, .size_class = size_class, .size = size_classes[size_class].size};
    block.slot = size_class_slot(size_class, (uintptr_t)address - start);
    block.start = start + block.slot * block.size;
    if (block.slot >= slab->slots) {
        block.kind = BLOCK_TAIL;
    } else {
        block.state = slot_state(slab, block.slot, (const void *)block.start);
    }
    return block;
}

static struct block block_in_window(const void *address) {
    size_t unit = window_unit(address);
    uint32_t entry = page_map_load(unit);
    if (entry_is_slab(entry)) {
        return block_in_slab(address, entry_class(entry));
    }
    struct block block = {.kind = BLOCK_UNUSED};
    if (entry == UNIT_LARGE) {
        const struct large *large = large_of(address);
        void *start = window_address(large->span.first);
        block.kind = BLOCK_LARGE;
        block.state = live_test(start) ? BLOCK_STATE_LIVE : BLOCK_STATE_CACHED;
        block.start = (uintptr_t)start;
        block.size = large_size(large);
    } else if (entry_is_free(entry) || entry == UNIT_PURGING) {
        const struct free_span *around = span_around(unit);
        block.kind = BLOCK_FREE;
        block.size = around != NULL ? (size_t)around->span.units << UNIT_SHIFT : UNIT;
        block.start = (uintptr_t)window_address(around != NULL ? around->span.first : unit);
    }
    return block;
}

struct block block_at(const void *address) {
    if (window_holds(address)) {
        return block_in_window(address);
    }
    struct block block = {.kind = BLOCK_OUTSIDE};
    uintptr_t tables = window.page_map_area.start;
    if (huge_find(address, &block.start, &block.size)) {
        block.kind = BLOCK_HUGE;
    } else if (huge_find_freed(address, &block.start, &block.size)) {
        block.kind = BLOCK_HUGE_FREED;
    } else if ((uintptr_t)address >= tables && (uintptr_t)address < window.base) {
        block.kind = BLOCK_METADATA;
    } else if ((uintptr_t)address - window.base < window.units_area.size) {
        block.kind = BLOCK_UNUSED;
    }
    return block;
}

struct block block_checked(const char *operation, const void *address) {
    struct block block = block_at(address);
    if (UNLIKELY(!block_is_live_start(&block, address))) {
        block_fault(operation, address);
    }
    return block;
}

static void describe_distance(struct fmt *text, const struct block *block, const void *address) {
    if (block->start != (uintptr_t)address) {
        fmt_format(text, "%u bytes into ", (uint64_t)((uintptr_t)address - block->start));
    }
}

static void describe(struct fmt *text, const struct block *block, const void *address) {
    static const char *const states[] = {"live", "cached", "free"};
    switch (block->kind) {
    case BLOCK_OUTSIDE:
        fmt_text(text, "outside the heap: a pointer of another allocator, of a stack, or of static data");
        break;
    case BLOCK_METADATA:
        fmt_text(text, "in the heap's own metadata");
        break;
    case BLOCK_UNUSED:
        fmt_text(text, "in the window, never used");
        break;
    case BLOCK_FREE:
        fmt_format(text, "in free memory of the window (a span of %u bytes)", (uint64_t)block->size);
        break;
    case BLOCK_TAIL:
        fmt_format(text, "past the last slot of a %u-byte slab", (uint64_t)block->size);
        break;
    case BLOCK_SLOT:
        describe_distance(text, block, address);
        fmt_format(text, "slot %u of a %u-byte slab, %s", (uint64_t)block->slot, (uint64_t)block->size,
                   states[block->state]);
        break;
    case BLOCK_LARGE:
        describe_distance(text, block, address);
        fmt_format(text, "a large block of %u bytes, %s", (uint64_t)block->size, states[block->state]);
        break;
    case BLOCK_HUGE:
    case BLOCK_HUGE_FREED:
        describe_distance(text, block, address);
        fmt_format(text, "a huge block of %u bytes, %s", (uint64_t)block->size,
                   block->kind == BLOCK_HUGE ? "live" : "free");
        break;
    }
}

static const char *problem_of(const struct block *block, const char *operation, const void *address) {
    if (block->kind <= BLOCK_UNUSED) {
        return "not from this heap";
    }
    bool starts = block->start == (uintptr_t)address;
    bool at_granule = (uintptr_t)address % GRANULE == 0;
    if (block->kind == BLOCK_FREE ? !at_granule : !starts) {
        return "not a block's start";
    }
    return strstr(operation, "free") != NULL || strstr(operation, "delete") != NULL ? "double free"
                                                                                    : "not a live block";
}

/* Finds the block of an address and describes it in buffer[STATE_TEXT]. */
static struct block describe_address(struct fmt *text, char *buffer, const void *address) {
    fmt_init(text, buffer, STATE_TEXT);
    struct block block = block_at(address);
    describe(text, &block, address);
    return block;
}

void block_fault(const char *operation, const void *address) {
    char buffer[STATE_TEXT];
    struct fmt text;
    struct block block = describe_address(&text, buffer, address);
    fault(operation, address, problem_of(&block, operation, address), buffer);
}

void block_fault_size(const char *operation, const void *address, size_t claimed) {
    char buffer[STATE_TEXT];
    struct fmt text;
    (void)describe_address(&text, buffer, address);
    fmt_format(&text, ", freed as %u bytes", (uint64_t)claimed);
    fault(operation, address, "size mismatch", buffer);
}
