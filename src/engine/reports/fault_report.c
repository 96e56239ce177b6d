#include "fault_report.h"

#include <string.h>

#include "base/fault.h"
#include "base/fmt.h"
#include "engine/heaps/hardened_heap.h"
#include "engine/probe.h"
#include "engine/slabs/slot_record.h"
#include "sample_report.h"

#define STATE_TEXT 160

static void describe_distance(struct fmt *text, const struct block *block, const void *address) {
    if (block->start != (uintptr_t)address) {
        fmt_format(text, "%u bytes into ", (uint64_t)((uintptr_t)address - block->start));
    }
}

static void describe_block(struct fmt *text, const struct block *block, const void *address) {
    static const char *const states[] = {
        [BLOCK_STATE_LIVE] = "live",
        [BLOCK_STATE_CACHED] = "cached",
        [BLOCK_STATE_QUARANTINED] = "quarantined",
        [BLOCK_STATE_REMOTE] = "freed by another thread",
        [BLOCK_STATE_FREE] = "free",
    };
    switch (block->kind) {
    case BLOCK_OUTSIDE:
        fmt_text(text, "outside the heap: from another allocator, a stack, or static data");
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
    case BLOCK_SAMPLE:
        if ((uintptr_t)address >= block->start + block->size) {
            fmt_format(text, "%u bytes behind ", (uint64_t)((uintptr_t)address - block->start - block->size + 1));
        } else if ((uintptr_t)address >= block->start) {
            describe_distance(text, block, address);
        } else {
            fmt_format(text, "%u bytes before ", (uint64_t)(block->start - (uintptr_t)address));
        }
        fmt_format(text, "a sampled block of %u bytes, %s", (uint64_t)block->size, states[block->state]);
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

/* With harden=full: the exact size of the block that a slot holds, or held until it was freed. Other slots may have the
 * record of one that was there before their slab was made. */
static void describe_exact(struct fmt *text, const struct block *block) {
    if (heaps.harden != HARDEN_FULL || block->kind != BLOCK_SLOT) {
        return;
    }
    const struct slot slot = slot_of((void *)block->start, block->size_class);
    const unsigned record = record_load(&slot);
    const bool freed = block->state == BLOCK_STATE_QUARANTINED || block->state == BLOCK_STATE_REMOTE;
    if (freed || (block->state == BLOCK_STATE_LIVE && record_is_live(record))) {
        const size_t size = block->size_class != EMPTY_CLASS ? record_size(&slot, record) : 0;
        fmt_format(text, ", of %u bytes", (uint64_t)size);
    }
}

/* Finds the block at an address and describes it in buffer[STATE_TEXT]. */
static struct block describe_address(struct fmt *text, char *buffer, const void *address) {
    *text = fmt_of(buffer, STATE_TEXT);
    struct block block = block_at(address);
    if (block.kind == BLOCK_SLOT && block.state == BLOCK_STATE_CACHED && hardened_detains((void *)block.start)) {
        block.state = BLOCK_STATE_QUARANTINED;
    }
    describe_block(text, &block, address);
    describe_exact(text, &block);
    return block;
}

void fault_report_end(const char *operation, const void *address) {
    char buffer[STATE_TEXT];
    struct fmt text;
    struct block block = describe_address(&text, buffer, address);
    sample_tell_around(address);
    fault(operation, address, problem_of(&block, operation, address), buffer);
}

/* `claim`: what a free wrongly claims of the block, with a %u for the bytes. problem NULL: what the address shows. */
static void report(const char *operation, const void *address, const char *problem, const char *claim, size_t bytes,
                   bool ends) {
    char buffer[STATE_TEXT];
    struct fmt text;
    const struct block block = describe_address(&text, buffer, address);
    fmt_format(&text, claim, (uint64_t)bytes);
    sample_tell_around(address);
    fault_tell(operation, address, problem != NULL ? problem : problem_of(&block, operation, address), buffer, ends);
}

void fault_report(const char *operation, const void *address) {
    PROBE_1(fault, address);
    report(operation, address, NULL, "", 0, true);
}

void fault_report_size(const char *operation, const void *address, size_t claimed) {
    report(operation, address, "size mismatch", ", freed as %u bytes", claimed, true);
}

void fault_report_alignment(const char *operation, const void *address, size_t claimed, bool ends) {
    report(operation, address, "alignment mismatch", ", freed with an alignment of %u bytes", claimed, ends);
}

struct block fault_unless_live(const char *operation, const void *address) {
    struct block block = block_at(address);
    if (UNLIKELY(!block_is_live_start(&block, address))) {
        fault_report(operation, address);
        block.kind = BLOCK_OUTSIDE;
    }
    return block;
}
