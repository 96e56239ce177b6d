#include "walk/engine_hardened.h"

#include <string.h>

#include "support/support.h"

static const char record_names[] =
    "window.records RECORDS_BYTES RECORD_LIVE RECORD_SLACK_SHIFT size_class size_class.guard_pages "
    "canaries.secret canaries.multiplier canaries.bits";

static const char quarantine_names[] = "heap.hardened hardened.quarantines quarantine.places quarantine.blocks[0]";

/* A canary ends with its slot, at most a page and a granule behind its block. */
#define CANARY_BYTES_MAX 8192u
#define CANARY_WORD 8u

/* No quarantine has more places than this. */
#define PLACES_MAX 1024u

static bool read_number(struct engine *engine, const char *member, const char *field, uint64_t *value) {
    const uint64_t structure = engine_structure(engine, member);
    return structure != 0 && field_read(engine->target, structure, layout_field(engine->layout, field), value);
}

/* The bytes of a slot that a block may use. */
static bool room_of(struct engine *engine, unsigned size_class, uint64_t *room) {
    const uint64_t classes = engine_structure(engine, "mems_root.size_classes");
    const uint64_t at = classes + size_class * (uint64_t)layout_field(engine->layout, "size_class").size;
    uint64_t guards;
    *room = engine->classes[size_class].size;
    if (classes == 0 ||
        !field_read(engine->target, at, layout_field(engine->layout, "size_class.guard_pages"), &guards) ||
        guards * engine->page >= *room) {
        return false;
    }
    *room -= guards * engine->page;
    return true;
}

static bool canary_of(struct engine *engine, uint64_t block, uint64_t *canary) {
    uint64_t secret;
    uint64_t multiplier;
    uint64_t bits;
    if (!read_number(engine, "mems_root.canaries", "canaries.secret", &secret) ||
        !read_number(engine, "mems_root.canaries", "canaries.multiplier", &multiplier) ||
        !read_number(engine, "mems_root.canaries", "canaries.bits", &bits)) {
        return false;
    }
    *canary = secret ^ (block * multiplier & bits);
    return true;
}

/* Whether a core lacks a page: gdb writes zeros for what follows a guard in its mapping. */
static bool is_missing(struct engine *engine, uint64_t address) {
    unsigned char page[CANARY_BYTES_MAX];
    const uint64_t size = engine->page;
    return engine->target->kind == TARGET_CORE && size <= sizeof page &&
           target_read(engine->target, address & -size, page, size) && page[0] == 0 &&
           memcmp(page, page + 1, size - 1) == 0;
}

/* From the block's end to the end of its room. */
static void compare_canary(struct engine *engine, uint64_t block, uint64_t room, struct engine_record *record) {
    unsigned char bytes[CANARY_BYTES_MAX];
    uint64_t canary;
    const uint64_t length = room - record->size;
    if (length > sizeof bytes || !canary_of(engine, block, &canary) ||
        !target_read(engine->target, block + record->size, bytes, length) || is_missing(engine, block + room - 1)) {
        return;
    }
    for (uint64_t i = 0; i < length; i++) {
        const unsigned char right = (unsigned char)(canary >> (record->size + i) % CANARY_WORD * 8);
        record->first = record->changed == 0 ? i : record->first;
        record->changed += bytes[i] != right;
    }
}

/* False if there are no records. */
static bool records_of(struct engine *engine, uint64_t *records) {
    return layout_has(engine->layout, "records of blocks", record_names) &&
           read_number(engine, "mems_root.window", "window.records", records) && *records != 0;
}

bool engine_has_records(struct engine *engine) {
    uint64_t records;
    return records_of(engine, &records);
}

bool engine_record(struct engine *engine, const struct engine_span *span, uint64_t slot, struct engine_record *record) {
    struct layout *layout = engine->layout;
    uint64_t records;
    uint64_t room;
    uint16_t bits;
    *record = (struct engine_record){0};
    if (!records_of(engine, &records) || !room_of(engine, span->size_class, &room)) {
        return false;
    }
    records += (span->start - engine->units.start) / engine->unit * layout_constant(layout, "RECORDS_BYTES", 0);
    if (!target_read(engine->target, records + slot * sizeof bits, &bits, sizeof bits)) {
        return false;
    }
    const uint64_t slack = bits >> (layout_constant(layout, "RECORD_SLACK_SHIFT", 0) & 15);
    if (slack > room) {
        return false;
    }
    record->live = (bits & layout_constant(layout, "RECORD_LIVE", 0)) != 0;
    record->size = room - slack;
    if (record->live && record->size != 0) {
        compare_canary(engine, span->start + slot * engine->classes[span->size_class].size, room, record);
    }
    return true;
}

static const char canary_names[] = "canaries.secret canaries.multiplier canaries.bits";

/* A live block whose canary ends with its last page. */
static bool record_of_pages(struct engine *engine, uint64_t block, uint64_t size, struct engine_record *record) {
    uint64_t secret;
    *record = (struct engine_record){.live = true, .size = size};
    if (!layout_has(engine->layout, "canaries", canary_names) ||
        !read_number(engine, "mems_root.canaries", "canaries.secret", &secret) || secret == 0) {
        return false;
    }
    compare_canary(engine, block, size + ((0 - size) & (engine->page - 1)), record);
    return true;
}

bool engine_large_record(struct engine *engine, const struct engine_walk *walk, struct engine_record *record) {
    return walk->span.live &&
           record_of_pages(engine, walk->span.start,
                           field_of(walk->descriptor, engine->fields.large.size, engine->fields.large_requested),
                           record);
}

/* An origin with all bits set means that the block has no canary yet. */
bool engine_huge_record(struct engine *engine, const struct engine_huge *huge, struct engine_record *record) {
    struct field requested_field;
    struct field origin_field;
    const struct wanted names[] = {{"huge.requested", &requested_field}, {"huge.origin", &origin_field}};
    uint64_t size;
    uint64_t origin;
    return layout_find(engine->layout, "canaries of huge blocks", names, COUNT_OF(names)) &&
           field_read(engine->target, huge->descriptor, requested_field, &size) &&
           field_read(engine->target, huge->descriptor, origin_field, &origin) && origin < UINT32_MAX &&
           size <= huge->last - huge->start + 1 && record_of_pages(engine, huge->start, size, record);
}

bool engine_large_fenced(struct engine *engine, const struct engine_walk *walk) {
    struct layout *layout = engine->layout;
    static const char names[] = "large.fence FENCE_ALL";
    if (!layout_has(layout, "fences of large blocks", names)) {
        return false;
    }
    const uint64_t fence = field_of(walk->descriptor, engine->fields.large.size, layout_field(layout, "large.fence"));
    return fence == layout_constant(layout, "FENCE_ALL", UINT64_MAX);
}

bool engine_quarantine(struct engine *engine, uint64_t heap, struct engine_cached *cached,
                       bool (*visit)(const struct engine_cached *cached, void *context), void *context) {
    struct layout *layout = engine->layout;
    uint64_t hardened;
    uint64_t quarantine;
    uint64_t places;
    uint64_t blocks[2 * PLACES_MAX];
    if (!layout_has(layout, "quarantines", quarantine_names) ||
        !field_read(engine->target, heap, layout_field(layout, "heap.hardened"), &hardened) || hardened == 0) {
        return true;
    }
    const struct field all = layout_field(layout, "hardened.quarantines");
    const uint64_t at = cached->size_class * sizeof quarantine;
    if (at + sizeof quarantine > all.size ||
        !target_read_pointer(engine->target, hardened + all.offset + at, &quarantine) || quarantine == 0 ||
        !field_read(engine->target, quarantine, layout_field(layout, "quarantine.places"), &places) ||
        places > PLACES_MAX ||
        !target_read(engine->target, quarantine + layout_field(layout, "quarantine.blocks[0]").offset, blocks,
                     2 * places * sizeof *blocks)) {
        return true;
    }
    cached->where = "its heap's quarantine";
    for (uint64_t i = 0; i < 2 * places; i++) {
        cached->block = blocks[i];
        if (blocks[i] != 0 && !visit(cached, context)) {
            return false;
        }
    }
    return true;
}
