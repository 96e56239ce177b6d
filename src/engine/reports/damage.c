#include "damage.h"

#include "base/fault.h"
#include "base/fmt.h"
#include "engine/heaps/hardened_heap.h"
#include "engine/root/engine_options.h"
#include "engine/root/root.h"
#include "engine/slabs/lookup.h"
#include "engine/tables/canary.h"
#include "engine/tables/live_map.h"
#include "sample_report.h"

#define TEXT 256

static void describe_block(struct fmt *text, const char *state, void *start, size_t size) {
    const struct block block = block_at(start);
    fmt_format(text, "a %s block of %u bytes", state, (uint64_t)size);
    if (block.kind == BLOCK_SLOT) {
        fmt_format(text, ", slot %u of a %u-byte slab", (uint64_t)block.slot, (uint64_t)block.size);
    }
}

static void describe_damage(struct fmt *text, const struct damage *damage, size_t from, const char *where) {
    fmt_format(text, damage->count == 1 ? ": %u byte changed, " : ": %u bytes changed, ", (uint64_t)damage->count);
    fmt_format(text, "%u", (uint64_t)(damage->first - from));
    if (damage->last != damage->first) {
        fmt_format(text, " to %u", (uint64_t)(damage->last - from));
    }
    fmt_format(text, " bytes %s", where);
}

void damage_overflow(const char *operation, void *block, size_t size, size_t room) {
    char buffer[TEXT];
    struct fmt text = fmt_of(buffer, sizeof buffer);
    const struct damage damage = canary_damage(block, size, room);
    describe_block(&text, "live", block, size);
    describe_damage(&text, &damage, size, "behind its end");
    sample_tell_around(block);
    fault_tell(operation, block, "overflow", buffer, true);
    canary_write(block, size, room);
}

/* `text` describes the block. */
static void tell_after_free(const char *operation, void *start, size_t room, struct fmt *text) {
    const struct damage damage = zero_damage(start, room);
    describe_damage(text, &damage, 0, "behind its start");
    sample_tell_around(start);
    fault_tell(operation, start, "write after free", text->text, true);
    zero_write(start, room);
}

void damage_after_free(const char *operation, const struct slot *slot, unsigned record) {
    char buffer[TEXT];
    struct fmt text = fmt_of(buffer, sizeof buffer);
    describe_block(&text, live_freed_remotely(slot->start) || hardened_detains(slot->start) ? "quarantined" : "freed",
                   slot->start, record_size(slot, record));
    tell_after_free(operation, slot->start, slot->room, &text);
}

void damage_after_free_large(const char *operation, void *start, size_t size) {
    char buffer[TEXT];
    struct fmt text = fmt_of(buffer, sizeof buffer);
    fmt_format(&text, "a quarantined block of %u bytes", (uint64_t)size);
    tell_after_free(operation, start, round_up(size, OS_PAGE), &text);
}

void damage_kind(const char *operation, void *block, size_t size, enum origin origin) {
    static const char *const names[ORIGINS] = {
        [ORIGIN_MALLOC] = "malloc",
        [ORIGIN_NEW] = "operator new",
        [ORIGIN_NEW_ARRAY] = "operator new[]",
        [ORIGIN_NEW_ALIGNED] = "operator new with an alignment",
        [ORIGIN_NEW_ARRAY_ALIGNED] = "operator new[] with an alignment",
    };
    char buffer[TEXT];
    struct fmt text = fmt_of(buffer, sizeof buffer);
    describe_block(&text, "live", block, size);
    fmt_format(&text, ", from %s", names[origin]);
    sample_tell_around(block);
    fault_tell(operation, block, "wrong kind", buffer, mems_root.options.kinds == KINDS_ABORT);
}

void damage_ahead(const char *function, const void *address, size_t size, size_t left) {
    char buffer[TEXT];
    struct fmt text = fmt_of(buffer, sizeof buffer);
    fmt_format(&text, "%u bytes to be written, %u left in the block", (uint64_t)size, (uint64_t)left);
    sample_tell_around(address);
    fault_tell(function, address, "overflow", buffer, true);
}
