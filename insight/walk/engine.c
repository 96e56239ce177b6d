#include "walk/engine.h"

#include <stdlib.h>
#include <string.h>

#include "support/support.h"
#include "walk/engine_heaps.h"

#define CLASS_BYTES_MAX 4096u

/* A target with more units or heaps is hostile. */
#define UNITS_LIMIT ((uint64_t)1 << 30)
#define HEAPS_LIMIT ((uint64_t)1 << 18)

const char *const engine_kind_names[SPAN_KINDS] = {
    [SPAN_UNUSED] = "never used",       [SPAN_FRESH] = "free, fresh",
    [SPAN_UNMAPPED] = "free, unmapped", [SPAN_DIRTY] = "free, dirty",
    [SPAN_PURGING] = "free, purging",   [SPAN_LOST] = "lost",
    [SPAN_LARGE] = "large block",       [SPAN_SLAB] = "slab",
    [SPAN_SAMPLES] = "samples",         [SPAN_TORN] = "changing",
};

/* --- What each report needs the library to describe --------------------------------------------------------------- */

static const char walk_names[] =
    "mems_root mems_root.state mems_root.class_count mems_root.size_classes mems_root.window mems_root.spans "
    "mems_root.heaps heaps heaps.made area.start area.size area.accessible window window.base window.page_map "
    "window.spans window.live_map window.heaps window.tables_start window.tables_size window.page_map_area "
    "window.spans_area window.heaps_area window.inbox_links_area window.live_map_area window.metadata_area "
    "window.units_area spans spans.top UNIT_SHIFT GRANULE_SHIFT OS_PAGE LIVE_WORD_BITS live_word live_word.live "
    "live_word.remote UNIT_UNUSED UNIT_FRESH UNIT_UNMAPPED UNIT_DIRTY UNIT_PURGING UNIT_LARGE UNIT_PART UNIT_LOST "
    "HEAP_ID_SHIFT CLASS_MASK HEAP_ABANDONED size_class size_class.size size_class.slots size_class.units span.first "
    "span.units slab slab.span slab.slots slab.free slab.used slab.unsettled slab.bitmap[0] large large.span "
    "large.requested";

static const char records_names[] = "window.records_area";

static const char age_names[] = "slab.born_s";

static const char heap_names[] =
    "heap heap.id heap.inbox heap.checks_every heap.thread heap.slab_bytes heap.depot.stored_bytes "
    "heap.larges.units heap.larges.ready heap.counters.refills heap.counters.flushes heap.counters.remote_frees "
    "heap.counters.adoptions heap.counters.stolen INBOX_CLOSED";

static const char counter_names[] = "heap.counters.class_refills heap.counters.class_flushes";

static const char cached_names[] =
    "heap.tops heap.mode_offset heap.classes heap_class heap_class.stock.magazines size_class.magazine "
    "stored.next stored.slots MAGAZINE_SLOTS MAGAZINE_MAX KEPT_SHARE";

static const char huge_names[] =
    "mems_root.huge_table huge_table.live.tree.root range_node.node range_node.node.left range_node.node.right "
    "range_node.start range_node.last";

static const char freed_names[] = "huge_table.freed";

static const char guarded_names[] = "guarded.span UNIT_SAMPLES";

static const char decay_names[] = "spans.decay_ms";

/* --- Opening ------------------------------------------------------------------------------------------------------ */

/* Everything else is found from these; copied in one system call, so that they agree as far as possible. */
enum structure { WINDOW, SPANS, HEAPS, CLASS_TABLE, STRUCTURES };

struct structures {
    char *copies[STRUCTURES];
    size_t sizes[STRUCTURES];
};

uint64_t engine_structure(struct engine *engine, const char *member) {
    return field_of(engine->root, layout_field(engine->layout, "mems_root").size, layout_field(engine->layout, member));
}

static bool read_root(struct engine *engine) {
    const size_t size = layout_field(engine->layout, "mems_root").size;
    engine->root = make(size);
    return size != 0 && target_read(engine->target, engine->layout->start, engine->root, size);
}

static bool read_structures(struct engine *engine, struct structures *structures) {
    static const struct {
        const char *member; /* of the root */
        const char *name;
    } names[STRUCTURES] = {
        [WINDOW] = {"mems_root.window", "window"},
        [SPANS] = {"mems_root.spans", "spans"},
        [HEAPS] = {"mems_root.heaps", "heaps"},
        [CLASS_TABLE] = {"mems_root.size_classes", "size_class"},
    };
    struct reading readings[STRUCTURES];
    bool read = true;
    for (unsigned i = 0; i < STRUCTURES; i++) {
        structures->sizes[i] =
            layout_field(engine->layout, names[i].name).size * (i == CLASS_TABLE ? engine->class_count : (size_t)1);
        structures->copies[i] = make(structures->sizes[i]);
        readings[i] = (struct reading){engine_structure(engine, names[i].member), structures->copies[i],
                                       structures->sizes[i], false};
    }
    target_read_many(engine->target, readings, STRUCTURES);
    for (unsigned i = 0; i < STRUCTURES; i++) {
        read &= readings[i].read && structures->sizes[i] != 0;
    }
    return read;
}

static uint64_t number_of(const struct engine *engine, const struct structures *structures, enum structure structure,
                          const char *name) {
    return field_of(structures->copies[structure], structures->sizes[structure], layout_field(engine->layout, name));
}

static bool take_area(const struct engine *engine, const struct structures *structures, const char *name,
                      struct engine_area *area) {
    const struct layout *layout = engine->layout;
    const struct field at = layout_field(layout, name);
    const char *window = structures->copies[WINDOW];
    const size_t size = structures->sizes[WINDOW];
    area->start = field_of(window, size, field_within(at, layout_field(layout, "area.start")));
    area->size = field_of(window, size, field_within(at, layout_field(layout, "area.size")));
    area->accessible = field_of(window, size, field_within(at, layout_field(layout, "area.accessible")));
    return at.size != 0 && area->start + area->size >= area->start && area->accessible <= area->size;
}

static bool take_areas(struct engine *engine, const struct structures *structures) {
    static const char *const names[TABLES] = {
        [TABLE_PAGE_MAP] = "window.page_map_area", [TABLE_SPANS] = "window.spans_area",
        [TABLE_HEAPS] = "window.heaps_area",       [TABLE_LINKS] = "window.inbox_links_area",
        [TABLE_LIVE] = "window.live_map_area",     [TABLE_RECORDS] = "window.records_area",
        [TABLE_METADATA] = "window.metadata_area",
    };
    const bool has_records = layout_has(engine->layout, "the table of blocks' records", records_names);
    for (unsigned i = 0; i < TABLES; i++) {
        if ((i != TABLE_RECORDS || has_records) && !take_area(engine, structures, names[i], &engine->tables[i])) {
            return false;
        }
    }
    return take_area(engine, structures, "window.units_area", &engine->units);
}

static bool class_sound(const struct engine *engine, const struct engine_class *size_class) {
    return size_class->size >= engine->granule && size_class->units >= 1 && size_class->units <= SLAB_UNITS_MAX &&
           size_class->slots >= 1 && size_class->slots <= SLAB_SLOTS_MAX &&
           size_class->slots <= size_class->units * engine->unit / size_class->size;
}

static bool take_classes(struct engine *engine, const struct structures *structures) {
    const struct layout *layout = engine->layout;
    const struct field size = layout_field(layout, "size_class.size");
    const struct field slots = layout_field(layout, "size_class.slots");
    const struct field units = layout_field(layout, "size_class.units");
    const struct field magazine = layout_field(layout, "size_class.magazine");
    const struct field whole = layout_field(layout, "size_class");
    for (unsigned i = 0; i < engine->class_count; i++) {
        const char *at = structures->copies[CLASS_TABLE] + i * (uint64_t)whole.size;
        engine->classes[i] = (struct engine_class){.size = field_of(at, whole.size, size),
                                                   .slots = field_of(at, whole.size, slots),
                                                   .units = field_of(at, whole.size, units),
                                                   .magazine = field_of(at, whole.size, magazine)};
        if (!class_sound(engine, &engine->classes[i])) {
            return false;
        }
    }
    return true;
}

static void find_fields(struct engine *engine) {
    const struct wanted fields[] = {
        {"live_word", &engine->fields.live_word},
        {"live_word.live", &engine->fields.live_word_live},
        {"live_word.remote", &engine->fields.live_word_remote},
        {"span.first", &engine->fields.span_first},
        {"slab", &engine->fields.slab},
        {"slab.span", &engine->fields.slab_span},
        {"slab.slots", &engine->fields.slab_slots},
        {"slab.free", &engine->fields.slab_free},
        {"slab.used", &engine->fields.slab_used},
        {"slab.unsettled", &engine->fields.slab_unsettled},
        {"slab.bitmap[0]", &engine->fields.slab_bitmap},
        {"large", &engine->fields.large},
        {"large.span", &engine->fields.large_span},
        {"large.requested", &engine->fields.large_requested},
        {"large.arena", &engine->fields.large_arena},
    };
    layout_find(engine->layout, NULL, fields, COUNT_OF(fields));
    struct field units = layout_field(engine->layout, "span.units");
    engine->fields.slab_first = field_within(engine->fields.slab_span, engine->fields.span_first);
    engine->fields.slab_units = field_within(engine->fields.slab_span, units);
    engine->fields.large_first = field_within(engine->fields.large_span, engine->fields.span_first);
    engine->fields.large_units = field_within(engine->fields.large_span, units);
}

static void find_sample_fields(struct engine *engine) {
    struct layout *layout = engine->layout;
    engine->samples = UINT64_MAX;
    if (!layout_has(layout, "spans of sampled blocks", guarded_names)) {
        return;
    }
    struct field units = layout_field(layout, "span.units");
    engine->fields.guarded_span = layout_field(layout, "guarded.span");
    engine->fields.guarded_first = field_within(engine->fields.guarded_span, engine->fields.span_first);
    engine->fields.guarded_units = field_within(engine->fields.guarded_span, units);
    engine->fields.guarded_cells = layout_field(layout, "guarded.cells");
    engine->fields.guarded_kind = layout_field(layout, "guarded.kind");
    engine->samples = layout_constant(layout, "UNIT_SAMPLES", UINT64_MAX);
}

/* All names have been looked up: checks that their values make sense. */
static bool constants_sound(const struct engine *engine) {
    return engine->page != 0 && engine->unit % engine->page == 0 && (engine->page & (engine->page - 1)) == 0 &&
           engine->unit >= 4096 && engine->unit <= 1 << 24 && engine->granule >= 8 && engine->granule <= 64 &&
           engine->unit % (engine->granule * 64) == 0 && engine->live_word_bits == 64 &&
           engine->fields.live_word.size <= 64 &&
           engine->fields.live_word_live.offset + 8 <= engine->fields.live_word.size &&
           engine->fields.live_word_remote.offset + 8 <= engine->fields.live_word.size && engine->heap_shift < 32 &&
           engine->fields.slab.size <= 4096 && engine->fields.slab_bitmap.offset <= 4096 &&
           engine->fields.large.size <= 4096;
}

static bool read_constants(struct engine *engine) {
    struct layout *layout = engine->layout;
    static const char *const kinds[] = {
        [SPAN_UNUSED] = "UNIT_UNUSED", [SPAN_FRESH] = "UNIT_FRESH",     [SPAN_UNMAPPED] = "UNIT_UNMAPPED",
        [SPAN_DIRTY] = "UNIT_DIRTY",   [SPAN_PURGING] = "UNIT_PURGING", [SPAN_LOST] = "UNIT_LOST",
        [SPAN_LARGE] = "UNIT_LARGE",
    };
    for (unsigned i = 0; i <= SPAN_LARGE; i++) {
        engine->kinds[i] = layout_constant(layout, kinds[i], UINT64_MAX);
    }
    engine->part = layout_constant(layout, "UNIT_PART", UINT64_MAX);
    engine->unit = (uint64_t)1 << (layout_constant(layout, "UNIT_SHIFT", 0) & 63);
    engine->granule = (uint64_t)1 << (layout_constant(layout, "GRANULE_SHIFT", 0) & 63);
    engine->page = layout_constant(layout, "OS_PAGE", 0);
    engine->heap_shift = layout_constant(layout, "HEAP_ID_SHIFT", 0);
    engine->class_mask = layout_constant(layout, "CLASS_MASK", 0);
    engine->heap_abandoned = layout_constant(layout, "HEAP_ABANDONED", 0);
    engine->live_word_bits = layout_constant(layout, "LIVE_WORD_BITS", 0);
    return constants_sound(engine);
}

static bool take_window(struct engine *engine, const struct structures *structures) {
    const struct {
        enum structure structure;
        const char *name;
        uint64_t *value;
    } numbers[] = {
        {WINDOW, "window.base", &engine->base},
        {WINDOW, "window.page_map", &engine->page_map},
        {WINDOW, "window.spans", &engine->spans},
        {WINDOW, "window.live_map", &engine->live_map},
        {WINDOW, "window.heaps", &engine->heaps},
        {WINDOW, "window.tables_start", &engine->tables_start},
        {WINDOW, "window.tables_size", &engine->tables_size},
        {SPANS, "spans.top", &engine->top},
        {SPANS, "spans.decay_ms", &engine->decay_ms},
        {HEAPS, "heaps.made", &engine->heaps_made},
    };
    for (size_t i = 0; i < COUNT_OF(numbers); i++) {
        *numbers[i].value = number_of(engine, structures, numbers[i].structure, numbers[i].name);
    }
    return take_areas(engine, structures) && engine->base == engine->units.start &&
           engine->top <= engine->units.accessible / engine->unit && engine->top <= UNITS_LIMIT &&
           engine->heaps_made <= HEAPS_LIMIT;
}

/* Data beside the window's spans. */
static void find_reports(struct engine *engine) {
    struct layout *layout = engine->layout;
    engine->has_heaps = layout_has(layout, "what each heap has, and its thread", heap_names);
    engine->has_counters = layout_has(layout, "refills and flushes of each class", counter_names);
    engine->has_cached =
        engine->has_heaps && layout_has(layout, "what lies in threads' magazines and depots", cached_names);
    engine->has_huge = layout_has(layout, "huge blocks", huge_names) &&
                       (engine->huge_table = engine_structure(engine, "mems_root.huge_table")) != 0;
    engine->has_freed = engine->has_huge && layout_has(layout, "huge blocks that were freed of late", freed_names);
    layout_has(layout, "the age of slabs", age_names);
    engine->fields.slab_born = layout_field(layout, "slab.born_s");
    layout_has(layout, "decay_ms", decay_names);
}

/* The classes can be read only when their number is known. */
static bool count_classes(struct engine *engine) {
    const uint64_t count = engine_structure(engine, "mems_root.class_count");
    engine->class_count = (unsigned)count;
    return count != 0 && count <= CLASSES_MAX && count <= engine->class_mask + 1 &&
           layout_field(engine->layout, "size_class").size <= CLASS_BYTES_MAX;
}

/* Why the engine cannot be read; NULL: it has been. */
static const char *read_engine(struct engine *engine, struct structures *structures) {
    if (!layout_has(engine->layout, "all of the engine", walk_names)) {
        return "its library does not describe enough to find a block";
    }
    if (!read_root(engine)) {
        return "cannot read its root";
    }
    if (engine_structure(engine, "mems_root.state") == 0) {
        return "it has not started: nothing has been allocated";
    }
    find_fields(engine);
    if (!read_constants(engine) || !count_classes(engine) || !read_structures(engine, structures) ||
        !take_window(engine, structures)) {
        return "its root leads to invalid data";
    }
    if (!take_classes(engine, structures)) {
        return "its size classes are invalid";
    }
    find_reports(engine);
    find_sample_fields(engine);
    engine_read_heaps(engine);
    return NULL;
}

void engine_open(struct engine *engine, struct target *target, struct layout *layout) {
    struct structures structures = {0};
    memset(engine, 0, sizeof *engine);
    engine->target = target;
    engine->layout = layout;
    engine->trouble = read_engine(engine, &structures);
    for (unsigned i = 0; i < STRUCTURES; i++) {
        free(structures.copies[i]);
    }
    if (engine->trouble != NULL) {
        engine_close(engine);
    }
}

void engine_close(struct engine *engine) {
    free(engine->root);
    free(engine->heap_list);
    free(engine->deferred);
    engine->root = NULL;
    engine->heap_list = NULL;
    engine->deferred = NULL;
}

uint64_t engine_class_size(const struct engine *engine, uint64_t size, uint64_t otherwise) {
    for (unsigned i = 0; i < engine->class_count; i++) {
        if (engine->classes[i].size >= size) {
            return engine->classes[i].size;
        }
    }
    return otherwise;
}
