/* check_spans.c - `mems check`: the engine's window, span by span. */
#include <inttypes.h>
#include <stdlib.h>

#include "check/check.h"
#include "support/sorted.h"
#include "support/support.h"
#include "walk/engine_huge.h"
#include "walk/engine_spans.h"
#include "walk/tree.h"

static const char count_names[] =
    "spans.live_units spans.free_units spans.unmapped_units spans.dirty_units spans.lost_units";

static const char free_names[] =
    "span.first span.units free_span.span free_span.dirty_units free_span.node free_span.node.left "
    "free_span.node.right free_span.age spans.fresh.tree.root spans.dirty.tree.root spans.aging list.next "
    "list.prev";

static const char huge_names[] = "huge_table.live.count huge_table.bytes";

/* --- All spans ---------------------------------------------------------------------------------------------------- */

static unsigned count_bits(uint64_t bits) {
    return (unsigned)__builtin_popcountll(bits);
}

/* The live map has bits only at starts of slots, and no slot has more than one state. */
static void check_slots(struct check *check, const struct engine_walk *walk) {
    const struct engine *engine = check->engine;
    const struct engine_span *span = &walk->span;
    const uint64_t size = engine->classes[span->size_class].size;
    uint64_t seen = 0;
    for (unsigned slot = 0; slot < span->slots; slot++) {
        uint64_t granule = slot * size / engine->granule;
        bool is_live = walk->live[granule / 64] >> granule % 64 & 1;
        bool is_remote = walk->remote[granule / 64] >> granule % 64 & 1;
        bool is_free = walk->free[slot / 64] >> slot % 64 & 1;
        seen += (uint64_t)is_live + is_remote;
        if (is_remote && !is_live) {
            FIND(check, span->start + slot * size, "slot %u is freed remotely and not live", slot);
        } else if (is_free && is_live && !is_remote) {
            FIND(check, span->start + slot * size, "slot %u is both free and live", slot);
        } else if (is_free && is_remote && !span->unsettled) {
            FIND(check, span->start + slot * size, "slot %u is to be settled, in a slab that has none", slot);
        }
    }
    uint64_t all = 0;
    for (uint64_t word = 0; word < span->units * engine->unit / engine->granule / 64; word++) {
        all += count_bits(walk->live[word]) + count_bits(walk->remote[word]);
    }
    if (all != seen) {
        FIND(check, span->start, "%" PRIu64 " bits of the live map belong to no slot", all > seen ? all - seen : 0);
    }
    check->slots += span->slots;
    check->slabs++;
}

static void check_entries(struct check *check, const struct engine_walk *walk) {
    const struct engine_span *span = &walk->span;
    const uint64_t wanted = span->kind == SPAN_LARGE ? check->engine->part : walk->entries[span->unit - walk->first];
    for (uint64_t unit = span->unit + 1; unit < span->unit + span->units; unit++) {
        if (check_entry(check->engine, unit) != wanted) {
            FIND(check, span->start, "the page map and the span of a unit disagree");
            break;
        }
    }
}

void check_window(struct check *check) {
    struct engine *engine = check->engine;
    struct engine_walk walk;
    uint64_t units[SPAN_KINDS] = {0};
    engine_walk_start(&walk, engine, 0);
    while (engine_walk_next(&walk)) {
        units[walk.span.kind] += walk.span.units;
        check->spans++;
        if (walk.span.kind == SPAN_SLAB) {
            check_entries(check, &walk);
            check_slots(check, &walk);
            if (walk.span.torn) {
                FIND(check, walk.span.start, "a slab's count of free slots is not that of its bitmap");
            }
        } else if (walk.span.kind == SPAN_LARGE || walk.span.kind == SPAN_SAMPLES) {
            check_entries(check, &walk);
        } else if (walk.span.kind == SPAN_TORN) {
            FIND(check, walk.span.start, "a unit's entry, or the descriptor of its span, is invalid");
        }
        progress("checking", walk.next, engine->top);
    }
    progress_end();
    check->walked = walk.next == engine->top;
    if (!check->walked) {
        FIND(check, engine->base + walk.next * engine->unit, "the tables cannot be read from unit %" PRIu64 " on",
             walk.next);
    }
    engine_walk_end(&walk);
    if (!layout_has(engine->layout, "whether the units are counted right", count_names)) {
        return;
    }
    check_number(check, "units of slabs and large blocks", units[SPAN_SLAB] + units[SPAN_LARGE] + units[SPAN_SAMPLES],
                 "mems_root.spans", "spans.live_units");
    check_number(check, "free units", units[SPAN_FRESH] + units[SPAN_UNMAPPED] + units[SPAN_DIRTY], "mems_root.spans",
                 "spans.free_units");
    check_number(check, "unmapped units", units[SPAN_UNMAPPED], "mems_root.spans", "spans.unmapped_units");
    check_number(check, "dirty units", units[SPAN_DIRTY], "mems_root.spans", "spans.dirty_units");
    check_number(check, "lost units", units[SPAN_LOST], "mems_root.spans", "spans.lost_units");
}

/* --- Free spans --------------------------------------------------------------------------------------------------- */

struct free_span {
    uint64_t descriptor;
    uint64_t first;
    uint64_t units;
    uint64_t dirty;
    bool in_tree;
    bool ages;
};

struct free_spans {
    struct free_span *spans;
    size_t count;
};

static bool kind_is_free(enum engine_kind kind) {
    return kind == SPAN_FRESH || kind == SPAN_UNMAPPED || kind == SPAN_DIRTY;
}

/* At the walk's unit; only this unit if the descriptor makes no sense. */
static struct free_span read_free_span(struct check *check, const struct engine_walk *walk) {
    const struct engine *engine = check->engine;
    const struct layout *layout = engine->layout;
    const uint64_t span = walk->span.descriptor;
    const struct field units = layout_field(layout, "span.units");
    struct free_span found = {.descriptor = span - layout_field(layout, "free_span.span").offset};
    uint64_t end = 0;
    if (!field_read(engine->target, span, engine->fields.span_first, &found.first) || found.first != walk->span.unit ||
        !field_read(engine->target, span, units, &found.units) || found.units == 0 ||
        found.units > engine->top - walk->span.unit) {
        FIND(check, walk->span.start, "a free span's descriptor is invalid");
        found.first = walk->span.unit;
        found.units = 1;
    } else if (!target_read_pointer(engine->target, engine->spans + (found.first + found.units - 1) * 8, &end) ||
               end != span) {
        FIND(check, walk->span.start, "a free span's ends do not point at it");
    }
    return found;
}

static void end_free_span(struct check *check, struct free_spans *all, struct free_span *span) {
    const struct engine *engine = check->engine;
    const uint64_t start = engine->base + span->first * engine->unit;
    uint64_t dirty;
    if (!field_read(engine->target, span->descriptor, layout_field(engine->layout, "free_span.dirty_units"), &dirty) ||
        dirty != span->dirty) {
        FIND(check, start, "a free span's dirty units are not those of the page map");
    }
    all->spans = grow(all->spans, all->count, sizeof *all->spans);
    all->spans[all->count++] = *span;
}

static void find_free_spans(struct check *check, struct free_spans *all) {
    struct engine_walk walk;
    struct free_span span = {0};
    uint64_t touched = 0; /* the unit behind the last free span */
    engine_walk_start(&walk, check->engine, 0);
    while (engine_walk_next(&walk)) {
        const uint64_t unit = walk.span.unit;
        const bool inside = span.units != 0 && unit < span.first + span.units;
        if (!kind_is_free(walk.span.kind)) {
            if (inside) {
                FIND(check, walk.span.start, "a unit of a free span is not free");
                span.units = unit - span.first;
                end_free_span(check, all, &span);
                span.units = 0;
            }
            continue;
        }
        if (!inside) {
            if (touched == unit && unit != 0) {
                FIND(check, walk.span.start, "two free spans touch");
            }
            span = read_free_span(check, &walk);
        }
        span.dirty += walk.span.kind == SPAN_DIRTY;
        if (engine_unit_bits(&walk) != 0) {
            FIND(check, walk.span.start, "a bit of the live map is set in a free span");
        }
        if (unit + 1 == span.first + span.units) {
            end_free_span(check, all, &span);
            touched = unit + 1;
            span.units = 0;
        }
    }
    engine_walk_end(&walk);
}

static struct free_span *free_span_at(const struct free_spans *all, uint64_t descriptor) {
    return sorted_find(all->spans, all->count, sizeof *all->spans, descriptor);
}

/* By size, then by place in the window. */
static bool in_order(const struct free_span *before, const struct free_span *span) {
    return before->units != span->units ? before->units < span->units : before->first < span->first;
}

static void check_tree(struct check *check, struct free_spans *all, const char *name, bool dirty) {
    struct engine *engine = check->engine;
    const struct layout *layout = engine->layout;
    const struct tree_fields fields = {layout_field(layout, "free_span.node"),
                                       layout_field(layout, "free_span.node.left"),
                                       layout_field(layout, "free_span.node.right")};
    const uint64_t place = engine_structure(engine, "mems_root.spans") + layout_field(layout, name).offset;
    uint64_t root;
    size_t count;
    bool whole;
    target_read_pointer(engine->target, place, &root);
    uint64_t *found = tree_structures(engine->target, root, &fields, all->count + 1, &count, &whole);
    const struct free_span *before = NULL;
    if (!whole) {
        FIND(check, place, "a tree of free spans is broken, or has other spans");
    }
    for (size_t i = 0; i < count; i++) {
        struct free_span *span = free_span_at(all, found[i]);
        if (span == NULL || span->in_tree || (span->dirty != 0) != dirty) {
            FIND(check, found[i],
                 "an entry of a tree of free spans is not one, is there twice, or is in the wrong tree");
            continue;
        }
        if (before != NULL && !in_order(before, span)) {
            FIND(check, found[i], "two free spans are out of order");
        }
        span->in_tree = true;
        before = span;
    }
    free(found);
}

static void visit_aging(struct check *check, uint64_t structure, void *context) {
    struct free_span *span = free_span_at(context, structure);
    if (span == NULL || span->dirty == 0 || span->ages) {
        FIND(check, structure, "an entry of the age list is not a dirty span, or is there twice");
    } else {
        span->ages = true;
    }
}

void check_free_spans(struct check *check) {
    struct engine *engine = check->engine;
    struct layout *layout = engine->layout;
    struct free_spans all = {0};
    if (!check->walked || !layout_has(layout, "whether free spans are whole", free_names)) {
        return;
    }
    find_free_spans(check, &all);
    sort(all.spans, all.count, sizeof *all.spans);
    check_tree(check, &all, "spans.fresh.tree.root", false);
    check_tree(check, &all, "spans.dirty.tree.root", true);
    check_list(check, engine_structure(engine, "mems_root.spans") + layout_field(layout, "spans.aging").offset,
               layout_field(layout, "free_span.age"), "the list of dirty spans is broken", visit_aging, &all);
    for (size_t i = 0; i < all.count; i++) {
        const struct free_span *span = &all.spans[i];
        if (!span->in_tree) {
            FIND(check, engine->base + span->first * engine->unit, "a free span is in no tree, so it is never reused");
        }
        if (span->dirty != 0 && !span->ages) {
            FIND(check, engine->base + span->first * engine->unit,
                 "a dirty span is not in the age list, so it is never purged");
        }
    }
    free(all.spans);
}

/* --- Huge blocks -------------------------------------------------------------------------------------------------- */

void check_huge(struct check *check) {
    struct engine *engine = check->engine;
    size_t count;
    struct engine_huge *blocks = engine_huge_blocks(engine, &count);
    uint64_t bytes = 0;
    for (size_t i = 0; i < count; i++) {
        bytes += blocks[i].last - blocks[i].start + 1;
        if (i != 0 && blocks[i].start <= blocks[i - 1].last) {
            FIND(check, blocks[i].start, "two huge blocks overlap");
        }
        if (target_mapping(engine->target, blocks[i].start) == NULL) {
            FIND(check, blocks[i].start, "a huge block is not mapped");
        }
    }
    if (engine->has_huge && layout_has(engine->layout, "whether huge blocks are counted right", huge_names)) {
        check_number(check, "huge blocks", count, "mems_root.huge_table", "huge_table.live.count");
        check_number(check, "bytes of huge blocks", bytes, "mems_root.huge_table", "huge_table.bytes");
    }
    free(blocks);
}
