/* check_heaps.c - `mems check`: the engine's heaps, with slabs, cached blocks and inboxes. */
#include <inttypes.h>
#include <stdlib.h>

#include "check/check.h"
#include "support/sorted.h"
#include "support/support.h"
#include "walk/engine_heaps.h"
#include "walk/engine_slots.h"

static const char slab_names[] =
    "list.next list.prev slab.link heap.classes heap_class heap_class.slabs mems_root.abandoned abandoned "
    "abandoned.slabs abandoned.shared";

static const char aging_names[] =
    "list.next list.prev slab.age heap.aging mems_root.abandoned abandoned abandoned.aging";

static const char depot_names[] =
    "heap.classes heap_class heap_class.stock.magazines heap_class.stock.count stored.next "
    "heap.depot.stored_count heap.depot.stored_credit heaps.depot_bytes KEPT_SHARE";

static const char use_names[] = "list.next list.prev heaps.in_use heaps.unused heap.link";

static const char inbox_names[] =
    "heap.classes heap_class heap_class.ring heap.inbox heap.backlog window.inbox_links INBOX_CLOSED LINK_SET";

/* The address of a class of a heap. */
static uint64_t class_at(const struct engine *engine, const struct engine_heap *heap, unsigned size_class) {
    return heap->address + layout_field(engine->layout, "heap.classes").offset +
           size_class * (uint64_t)layout_field(engine->layout, "heap_class").size;
}

/* --- Cached blocks ------------------------------------------------------------------------------------------------ */

/* All heaps' cached blocks, to be sorted so that duplicates meet. */
struct at_hand {
    struct check *check;
    uint64_t *blocks;
    size_t count;
};

static bool check_cached(const struct engine_cached *cached, void *context) {
    struct at_hand *hand = context;
    struct check *check = hand->check;
    const struct engine *engine = check->engine;
    uint64_t unit = (cached->block - engine->base) / engine->unit;
    hand->blocks = grow(hand->blocks, hand->count, sizeof *hand->blocks);
    hand->blocks[hand->count++] = cached->block;
    if (cached->block < engine->base || unit >= engine->top ||
        check_entry(engine, unit) != (cached->heap << engine->heap_shift | cached->size_class)) {
        FIND(check, cached->block, "heap %" PRIu64 " has in %s an address that is not a block of its class %u",
             cached->heap, cached->where, cached->size_class);
    }
    return true;
}

/* A block is cached once, and neither free nor live in its slab. */
static void check_at_hand(struct check *check, const struct at_hand *hand) {
    struct engine *engine = check->engine;
    struct engine_walk walk = {0};
    bool walking = false;
    uint64_t live = 0;
    uint64_t first_live = 0;
    for (size_t i = 0; i < hand->count; i++) {
        uint64_t block = hand->blocks[i];
        if (i != 0 && block == hand->blocks[i - 1]) {
            FIND(check, block, "a block is cached twice");
            continue;
        }
        if (!walking || block - walk.span.start >= walk.span.units * engine->unit) {
            if (walking) {
                engine_walk_end(&walk);
            }
            walking = block >= engine->base && (block - engine->base) / engine->unit < engine->top;
            if (walking && !engine_walk_to(&walk, engine, block)) {
                engine_walk_end(&walk);
                walking = false;
            }
        }
        if (walking && walk.span.kind == SPAN_SLAB) {
            uint64_t size = engine->classes[walk.span.size_class].size;
            uint64_t slot = (block - walk.span.start) / size;
            if ((block - walk.span.start) % size != 0 || slot >= walk.span.slots) {
                FIND(check, block, "a cached address is not the start of a slot");
            } else if (engine_slot_state(&walk, (unsigned)slot) == STATE_FREE) {
                FIND(check, block, "a cached block is free in its slab");
            } else if (engine_slot_state(&walk, (unsigned)slot) != STATE_CACHED && live++ == 0) {
                first_live = block;
            }
        }
    }
    if (walking) {
        engine_walk_end(&walk);
    }
    /* malloc and free change live bit and magazine by two stores, in the compiler's order. */
    if (live > check->in_flight) {
        FIND(check, first_live, "%" PRIu64 " cached blocks are live, of which this is the first", live);
    }
    check->cached = hand->count;
}

static void check_all_cached(struct check *check) {
    struct at_hand hand = {.check = check};
    for (uint64_t id = 1; id <= check->engine->heaps_made; id++) {
        engine_cached(check->engine, id, check_cached, &hand);
    }
    sort(hand.blocks, hand.count, sizeof *hand.blocks);
    check_at_hand(check, &hand);
    free(hand.blocks);
}

/* --- Depots ------------------------------------------------------------------------------------------------------- */

/* At most one more than `counted`, in case the list is a circle. */
static uint64_t stored_magazines(struct engine *engine, uint64_t at, uint64_t counted) {
    const struct layout *layout = engine->layout;
    uint64_t stored;
    uint64_t count = 0;
    field_read(engine->target, at, layout_field(layout, "heap_class.stock.magazines"), &stored);
    while (stored != 0 && count <= counted) {
        count++;
        field_read(engine->target, stored, layout_field(layout, "stored.next"), &stored);
    }
    return count;
}

static void check_depot(struct check *check, const struct engine_heap *heap, uint64_t *bytes) {
    struct engine *engine = check->engine;
    const struct layout *layout = engine->layout;
    const uint64_t share = larger(layout_constant(layout, "KEPT_SHARE", 1), 1);
    uint64_t magazines = 0;
    uint64_t stored_bytes = 0;
    uint64_t told;
    for (unsigned size_class = 0; size_class < engine->class_count; size_class++) {
        const struct engine_class *of = &engine->classes[size_class];
        const uint64_t at = class_at(engine, heap, size_class);
        field_read(engine->target, at, layout_field(layout, "heap_class.stock.count"), &told);
        const uint64_t count = stored_magazines(engine, at, told);
        check_count(check, at, "stored magazines of a class", count, told);
        magazines += count;
        stored_bytes += count * (of->magazine - of->magazine / share) * of->size;
    }
    field_read(engine->target, heap->address, layout_field(layout, "heap.depot.stored_count"), &told);
    check_count(check, heap->address, "stored magazines of a heap", magazines, told);
    check_count(check, heap->address, "bytes of a depot", stored_bytes, heap->stored_bytes);
    field_read(engine->target, heap->address, layout_field(layout, "heap.depot.stored_credit"), &told);
    *bytes += heap->stored_bytes + told;
}

static void check_depots(struct check *check) {
    struct engine *engine = check->engine;
    uint64_t bytes = 0;
    if (!engine->has_cached || !layout_has(engine->layout, "whether depots are counted right", depot_names)) {
        return;
    }
    for (size_t i = 0; i < engine->heap_count; i++) {
        check_depot(check, &engine->heap_list[i], &bytes);
    }
    check_number(check, "bytes of all depots", bytes, "mems_root.heaps", "heaps.depot_bytes");
}

/* --- Slabs -------------------------------------------------------------------------------------------------------- */

/* All slabs of one heap and, except for aging slabs, one class. */
struct slab_list {
    uint64_t entry;
    uint64_t mask; /* the bits of the entry that matter */
    uint64_t count;
    bool full_seen; /* then no slab with free slots may follow */
};

static bool is_of(struct check *check, uint64_t slab, const struct slab_list *list, uint64_t *unit) {
    const struct engine *engine = check->engine;
    return field_read(engine->target, slab, engine->fields.slab_first, unit) && *unit < engine->top &&
           ((check_entry(engine, *unit) ^ list->entry) & list->mask) == 0;
}

static void visit_slab(struct check *check, uint64_t slab, void *context) {
    struct slab_list *list = context;
    uint64_t unit;
    uint64_t free;
    list->count++;
    if (!is_of(check, slab, list, &unit)) {
        FIND(check, slab, "a slab is in the list of another heap or class");
    } else if (field_read(check->engine->target, slab, check->engine->fields.slab_free, &free)) {
        if (free != 0 && list->full_seen) {
            FIND(check, slab, "a slab with free slots is behind a full one, so they are never used");
        }
        list->full_seen |= free == 0;
    }
}

static void visit_aging(struct check *check, uint64_t slab, void *context) {
    uint64_t unit;
    if (!is_of(check, slab, context, &unit)) {
        FIND(check, slab, "a slab ages in another heap's list");
    }
}

/* In the list whose head is at an address; returns how many. */
static uint64_t check_slab_list(struct check *check, uint64_t head, uint64_t entry) {
    struct slab_list list = {.entry = entry, .mask = UINT32_MAX};
    check_list(check, head, layout_field(check->engine->layout, "slab.link"), "a list of slabs is broken", visit_slab,
               &list);
    return list.count;
}

static void check_heap_slabs(struct check *check, const struct engine_heap *heap, uint64_t *slabs) {
    struct engine *engine = check->engine;
    const struct field list = layout_field(engine->layout, "heap_class.slabs");
    uint64_t bytes = 0;
    for (unsigned size_class = 0; size_class < engine->class_count; size_class++) {
        const struct engine_class *of = &engine->classes[size_class];
        const uint64_t count = check_slab_list(check, class_at(engine, heap, size_class) + list.offset,
                                               heap->id << engine->heap_shift | size_class);
        bytes += count * of->slots * of->size;
        *slabs += count;
    }
    check_count(check, heap->address, "bytes in slots of a heap", bytes, heap->slab_bytes);
}

static void check_slabs(struct check *check) {
    struct engine *engine = check->engine;
    struct layout *layout = engine->layout;
    uint64_t slabs = 0;
    if (!engine->has_heaps || !layout_has(layout, "whether slabs are in their lists", slab_names)) {
        return;
    }
    for (size_t i = 0; i < engine->heap_count; i++) {
        if (!engine->heap_list[i].bare) {
            check_heap_slabs(check, &engine->heap_list[i], &slabs);
        }
    }
    const struct field abandoned = layout_field(layout, "abandoned");
    for (unsigned size_class = 0; size_class < engine->class_count; size_class++) {
        const uint64_t at = engine_structure(engine, "mems_root.abandoned") + size_class * (uint64_t)abandoned.size;
        uint64_t shared;
        slabs += check_slab_list(check, at + layout_field(layout, "abandoned.slabs").offset,
                                 engine->heap_abandoned << engine->heap_shift | size_class);
        field_read(engine->target, at, layout_field(layout, "abandoned.shared"), &shared);
        slabs += shared != 0;
    }
    if (slabs != check->slabs) {
        FIND(check, engine->heaps, "%" PRIu64 " slabs are in lists, and %" PRIu64 " are in the window", slabs,
             check->slabs);
    }
}

static void check_aging_list(struct check *check, uint64_t head, uint64_t id) {
    const struct engine *engine = check->engine;
    struct slab_list list = {.entry = id << engine->heap_shift, .mask = UINT32_MAX & ~engine->class_mask};
    check_list(check, head, layout_field(engine->layout, "slab.age"), "a list of aging slabs is broken", visit_aging,
               &list);
}

static void check_aging(struct check *check) {
    struct engine *engine = check->engine;
    struct layout *layout = engine->layout;
    if (!engine->has_heaps || !layout_has(layout, "whether slabs age in their lists", aging_names)) {
        return;
    }
    for (size_t i = 0; i < engine->heap_count; i++) {
        const struct engine_heap *heap = &engine->heap_list[i];
        if (!heap->bare) {
            check_aging_list(check, heap->address + layout_field(layout, "heap.aging").offset, heap->id);
        }
    }
    for (unsigned size_class = 0; size_class < engine->class_count; size_class++) {
        const uint64_t at = engine_structure(engine, "mems_root.abandoned") +
                            size_class * (uint64_t)layout_field(layout, "abandoned").size;
        check_aging_list(check, at + layout_field(layout, "abandoned.aging").offset, engine->heap_abandoned);
    }
}

static void visit_unused(struct check *check, uint64_t heap, void *context) {
    const struct layout *layout = check->engine->layout;
    uint64_t *unused = context;
    uint64_t inbox;
    (*unused)++;
    if (!field_read(check->engine->target, heap, layout_field(layout, "heap.inbox"), &inbox) ||
        inbox != layout_constant(layout, "INBOX_CLOSED", 0)) {
        FIND(check, heap, "a heap is in use, and in the list of unused ones");
    }
}

/* A heap is counted and leaves the list of unused ones before its inbox opens, and returns after it has closed. A
 * thread may have been stopped in between. */
static void check_use(struct check *check, uint64_t in_use) {
    struct engine *engine = check->engine;
    const uint64_t head =
        engine_structure(engine, "mems_root.heaps") + layout_field(engine->layout, "heaps.unused").offset;
    uint64_t unused = 0;
    if (!check_list(check, head, layout_field(engine->layout, "heap.link"), "the list of unused heaps is broken",
                    visit_unused, &unused)) {
        return;
    }
    check_number(check, "heaps in use", engine->heaps_made - unused, "mems_root.heaps", "heaps.in_use");
    if (engine->heaps_made - unused > in_use + check->in_flight) {
        FIND(check, head, "%" PRIu64 " heaps are neither in use nor in the list of unused ones",
             engine->heaps_made - unused - in_use);
    }
}

void check_heaps(struct check *check) {
    struct engine *engine = check->engine;
    uint64_t in_use = 0;
    for (uint64_t id = 1; engine->has_heaps && id <= engine->heaps_made; id++) {
        struct engine_heap heap;
        if (!engine_heap(engine, id, &heap)) {
            FIND(check, engine->heaps + id * 8, "heap %" PRIu64 " cannot be read, or has another number", id);
        }
        in_use += heap.in_use;
    }
    if (engine->has_heaps && layout_has(engine->layout, "whether heaps are counted right", use_names)) {
        check_use(check, in_use);
    }
    check_slabs(check);
    check_aging(check);
    check_all_cached(check);
    check_depots(check);
}

/* --- Inboxes ------------------------------------------------------------------------------------------------------ */

struct inboxes {
    struct check *check;
    uint32_t *links;
    bool *met;
    uint64_t set;    /* the bit of a link that is set */
    uint64_t closed; /* the value of a closed inbox */
};

/* Notes a unit of an inbox, a backlog or a ring. False if it cannot be one. */
static bool meet_unit(struct inboxes *inboxes, uint64_t unit, uint64_t where) {
    struct check *check = inboxes->check;
    if (unit >= check->engine->top) {
        FIND(check, where, "an inbox leads out of the window");
        return false;
    }
    if (inboxes->met[unit]) {
        FIND(check, where, "a unit is in two inboxes, or an inbox has a cycle");
        return false;
    }
    inboxes->met[unit] = true;
    if ((inboxes->links[unit] & inboxes->set) == 0) {
        FIND(check, where, "a unit in an inbox has no link");
        return false;
    }
    return true;
}

/* A stack of units by its head. */
static void check_stack(struct inboxes *inboxes, uint64_t head, uint64_t where) {
    while (head != 0 && meet_unit(inboxes, head - 1, where)) {
        head = inboxes->links[head - 1] & ~inboxes->set;
    }
}

/* A ring is given by its last unit. */
static void check_ring(struct inboxes *inboxes, uint64_t last, uint64_t entry, uint64_t where) {
    uint64_t number = last;
    while (last != 0 && meet_unit(inboxes, number - 1, where)) {
        if (check_entry(inboxes->check->engine, number - 1) != entry) {
            FIND(inboxes->check, where, "a unit waits in the ring of another heap or class");
        }
        number = inboxes->links[number - 1] & ~inboxes->set;
        if (number == last) {
            return;
        }
    }
}

static void check_inbox(struct inboxes *inboxes, const struct engine_heap *heap) {
    struct engine *engine = inboxes->check->engine;
    const struct layout *layout = engine->layout;
    uint64_t head;
    field_read(engine->target, heap->address, layout_field(layout, "heap.inbox"), &head);
    check_stack(inboxes, head != inboxes->closed ? head : 0, heap->address);
    field_read(engine->target, heap->address, layout_field(layout, "heap.backlog"), &head);
    check_stack(inboxes, head, heap->address);
    for (unsigned size_class = 0; size_class < engine->class_count; size_class++) {
        const uint64_t at = class_at(engine, heap, size_class);
        field_read(engine->target, at, layout_field(layout, "heap_class.ring"), &head);
        check_ring(inboxes, head, heap->id << engine->heap_shift | size_class, at);
    }
}

/* A thread sets a unit's link before it pushes the unit. */
static void check_links(struct inboxes *inboxes) {
    struct check *check = inboxes->check;
    const struct engine *engine = check->engine;
    uint64_t lost = 0;
    uint64_t first = 0;
    for (uint64_t unit = engine->top; unit-- > 0;) {
        if (inboxes->links[unit] != 0 && !inboxes->met[unit]) {
            lost++;
            first = unit;
        }
    }
    if (lost > check->in_flight) {
        FIND(check, engine->base + first * engine->unit,
             "%" PRIu64 " units are marked as in an inbox but are in none, so they are never collected", lost);
    }
}

/* False if they cannot be read. A core contains nothing of a table that was never written to. */
static bool read_links(struct engine *engine, uint32_t *links) {
    uint64_t at;
    if (!field_read(engine->target, engine_structure(engine, "mems_root.window"),
                    layout_field(engine->layout, "window.inbox_links"), &at)) {
        return false;
    }
    const struct mapping *mapping = target_mapping(engine->target, at);
    return target_read(engine->target, at, links, engine->top * sizeof *links) ||
           (mapping != NULL && mapping->unwritten);
}

void check_inboxes(struct check *check) {
    struct engine *engine = check->engine;
    struct layout *layout = engine->layout;
    if (!check->walked || !engine->has_heaps || !layout_has(layout, "whether inboxes are whole", inbox_names)) {
        return;
    }
    struct inboxes inboxes = {.check = check,
                              .links = make_zeroed(engine->top, sizeof *inboxes.links),
                              .met = make_zeroed(engine->top, sizeof *inboxes.met),
                              .set = layout_constant(layout, "LINK_SET", 0),
                              .closed = layout_constant(layout, "INBOX_CLOSED", 0)};
    if (!read_links(engine, inboxes.links)) {
        FIND(check, engine->tables[TABLE_LINKS].start, "the links of the inboxes cannot be read");
    } else {
        for (size_t i = 0; i < engine->heap_count; i++) {
            check_inbox(&inboxes, &engine->heap_list[i]);
        }
        check_links(&inboxes);
    }
    free(inboxes.links);
    free(inboxes.met);
}
