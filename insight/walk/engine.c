#include "walk/engine.h"

#include <stdlib.h>
#include <string.h>

#include "support/support.h"
#include "walk/engine_heaps.h"

/* The description of a size class is not larger. */
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
    "mems_root.state mems_root.class_count mems_root.size_classes mems_root.window mems_root.spans "
    "mems_root.heaps heaps.made area.start area.size area.accessible window.base window.page_map window.spans "
    "window.live_map window.heaps window.tables_start window.tables_size window.page_map_area window.spans_area "
    "window.heaps_area window.inbox_links_area window.live_map_area window.metadata_area window.units_area "
    "spans.top UNIT_SHIFT GRANULE_SHIFT OS_PAGE LIVE_WORD_BITS live_word live_word.live live_word.remote "
    "UNIT_UNUSED UNIT_FRESH UNIT_UNMAPPED UNIT_DIRTY UNIT_PURGING UNIT_LARGE UNIT_PART UNIT_LOST HEAP_ID_SHIFT "
    "CLASS_MASK HEAP_ABANDONED size_class size_class.size size_class.slots size_class.units span.first span.units "
    "slab slab.span slab.slots slab.free slab.used slab.unsettled slab.bitmap[0] large large.span large.requested";

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

/* A number of the structure that a member of the root points at. */
struct number {
    const char *member; /* of the root */
    const char *field;
    uint64_t *value;
};

uint64_t engine_structure(struct engine *engine, const char *member) {
    uint64_t structure;
    field_read(engine->target, engine->layout->start, layout_field(engine->layout, member), &structure);
    return structure;
}

static bool read_numbers(struct engine *engine, const struct number *numbers, size_t count) {
    for (size_t i = 0; i < count; i++) {
        uint64_t structure = engine_structure(engine, numbers[i].member);
        if (structure == 0 ||
            !field_read(engine->target, structure, layout_field(engine->layout, numbers[i].field), numbers[i].value)) {
            return false;
        }
    }
    return true;
}

static bool read_area(struct engine *engine, const char *name, struct engine_area *area) {
    struct layout *layout = engine->layout;
    uint64_t window;
    struct field at = layout_field(layout, name);
    if (!field_read(engine->target, layout->start, layout_field(layout, "mems_root.window"), &window)) {
        return false;
    }
    window += at.offset;
    return at.size != 0 && field_read(engine->target, window, layout_field(layout, "area.start"), &area->start) &&
           field_read(engine->target, window, layout_field(layout, "area.size"), &area->size) &&
           field_read(engine->target, window, layout_field(layout, "area.accessible"), &area->accessible) &&
           area->start + area->size >= area->start && area->accessible <= area->size;
}

static bool read_areas(struct engine *engine) {
    static const char *const names[TABLES] = {
        [TABLE_PAGE_MAP] = "window.page_map_area", [TABLE_SPANS] = "window.spans_area",
        [TABLE_HEAPS] = "window.heaps_area",       [TABLE_LINKS] = "window.inbox_links_area",
        [TABLE_LIVE] = "window.live_map_area",     [TABLE_METADATA] = "window.metadata_area",
    };
    for (unsigned i = 0; i < TABLES; i++) {
        if (!read_area(engine, names[i], &engine->tables[i])) {
            return false;
        }
    }
    return read_area(engine, "window.units_area", &engine->units);
}

static bool class_sound(const struct engine *engine, const struct engine_class *size_class) {
    return size_class->size >= engine->granule && size_class->units >= 1 && size_class->units <= SLAB_UNITS_MAX &&
           size_class->slots >= 1 && size_class->slots <= SLAB_SLOTS_MAX &&
           size_class->slots <= size_class->units * engine->unit / size_class->size;
}

static bool read_classes(struct engine *engine) {
    struct layout *layout = engine->layout;
    struct field size = layout_field(layout, "size_class.size");
    struct field slots = layout_field(layout, "size_class.slots");
    struct field units = layout_field(layout, "size_class.units");
    struct field magazine = layout_field(layout, "size_class.magazine");
    struct field whole = layout_field(layout, "size_class");
    uint64_t count;
    uint64_t table;
    if (!field_read(engine->target, layout->start, layout_field(layout, "mems_root.class_count"), &count) ||
        !field_read(engine->target, layout->start, layout_field(layout, "mems_root.size_classes"), &table) ||
        count > CLASSES_MAX || count > engine->class_mask + 1 || whole.size > CLASS_BYTES_MAX) {
        return false;
    }
    char *copy = make(larger(count * whole.size, 1));
    bool sound = target_read(engine->target, table, copy, count * whole.size);
    for (unsigned i = 0; sound && i < count; i++) {
        const char *at = copy + i * (uint64_t)whole.size;
        engine->classes[i] = (struct engine_class){.size = field_of(at, whole.size, size),
                                                   .slots = field_of(at, whole.size, slots),
                                                   .units = field_of(at, whole.size, units),
                                                   .magazine = field_of(at, whole.size, magazine)};
        sound = class_sound(engine, &engine->classes[i]);
    }
    free(copy);
    engine->class_count = (unsigned)count;
    return sound;
}

static void find_fields(struct engine *engine) {
    const struct {
        const char *name;
        struct field *field;
    } fields[] = {
        {"live_word", &engine->live_word},
        {"live_word.live", &engine->live_word_live},
        {"live_word.remote", &engine->live_word_remote},
        {"span.first", &engine->span_first},
        {"slab", &engine->slab},
        {"slab.span", &engine->slab_span},
        {"slab.slots", &engine->slab_slots},
        {"slab.free", &engine->slab_free},
        {"slab.used", &engine->slab_used},
        {"slab.unsettled", &engine->slab_unsettled},
        {"slab.bitmap[0]", &engine->slab_bitmap},
        {"large", &engine->large},
        {"large.span", &engine->large_span},
        {"large.requested", &engine->large_requested},
        {"large.arena", &engine->large_arena},
    };
    for (size_t i = 0; i < COUNT_OF(fields); i++) {
        *fields[i].field = layout_field(engine->layout, fields[i].name);
    }
    struct field units = layout_field(engine->layout, "span.units");
    engine->slab_first = field_within(engine->slab_span, engine->span_first);
    engine->slab_units = field_within(engine->slab_span, units);
    engine->large_first = field_within(engine->large_span, engine->span_first);
    engine->large_units = field_within(engine->large_span, units);
}

static void find_sample_fields(struct engine *engine) {
    struct layout *layout = engine->layout;
    engine->samples = UINT64_MAX;
    if (!layout_has(layout, "spans of sampled blocks", guarded_names)) {
        return;
    }
    struct field units = layout_field(layout, "span.units");
    engine->guarded_span = layout_field(layout, "guarded.span");
    engine->guarded_first = field_within(engine->guarded_span, engine->span_first);
    engine->guarded_units = field_within(engine->guarded_span, units);
    engine->guarded_cells = layout_field(layout, "guarded.cells");
    engine->guarded_kind = layout_field(layout, "guarded.kind");
    engine->samples = layout_constant(layout, "UNIT_SAMPLES", UINT64_MAX);
}

/* All names that a walk needs have been looked up: checks that their values make sense. */
static bool constants_sound(const struct engine *engine) {
    return engine->page != 0 && engine->unit % engine->page == 0 && (engine->page & (engine->page - 1)) == 0 &&
           engine->unit >= 4096 && engine->unit <= 1 << 24 && engine->granule >= 8 && engine->granule <= 64 &&
           engine->unit % (engine->granule * 64) == 0 && engine->live_word_bits == 64 && engine->live_word.size <= 64 &&
           engine->live_word_live.offset + 8 <= engine->live_word.size &&
           engine->live_word_remote.offset + 8 <= engine->live_word.size && engine->heap_shift < 32 &&
           engine->slab.size <= 4096 && engine->slab_bitmap.offset <= 4096 && engine->large.size <= 4096;
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

static bool read_window(struct engine *engine) {
    const struct number numbers[] = {
        {"mems_root.window", "window.base", &engine->base},
        {"mems_root.window", "window.page_map", &engine->page_map},
        {"mems_root.window", "window.spans", &engine->spans},
        {"mems_root.window", "window.live_map", &engine->live_map},
        {"mems_root.window", "window.heaps", &engine->heaps},
        {"mems_root.window", "window.tables_start", &engine->tables_start},
        {"mems_root.window", "window.tables_size", &engine->tables_size},
        {"mems_root.spans", "spans.top", &engine->top},
        {"mems_root.heaps", "heaps.made", &engine->heaps_made},
    };
    return read_numbers(engine, numbers, COUNT_OF(numbers)) && read_areas(engine) &&
           engine->base == engine->units.start && engine->top <= engine->units.accessible / engine->unit &&
           engine->top <= UNITS_LIMIT && engine->heaps_made <= HEAPS_LIMIT;
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
    engine->slab_born = layout_field(layout, "slab.born_s");
    const struct number decay = {"mems_root.spans", "spans.decay_ms", &engine->decay_ms};
    if (layout_has(layout, "decay_ms", decay_names)) {
        read_numbers(engine, &decay, 1);
    }
}

void engine_open(struct engine *engine, struct target *target, struct layout *layout) {
    memset(engine, 0, sizeof *engine);
    engine->target = target;
    engine->layout = layout;
    uint64_t state;
    if (!layout_has(layout, "all of the engine", walk_names)) {
        engine->trouble = "its library does not describe enough to find a block";
        return;
    }
    find_fields(engine);
    if (!field_read(target, layout->start, layout_field(layout, "mems_root.state"), &state)) {
        engine->trouble = "cannot read its root";
    } else if (state == 0) {
        engine->trouble = "it has not started: nothing has been allocated";
    } else if (!read_constants(engine) || !read_window(engine)) {
        engine->trouble = "its root leads to invalid data";
    } else if (!read_classes(engine)) {
        engine->trouble = "its size classes are invalid";
    } else {
        find_reports(engine);
        find_sample_fields(engine);
        engine_read_deferred(engine);
    }
}

void engine_close(struct engine *engine) {
    free(engine->deferred);
}
