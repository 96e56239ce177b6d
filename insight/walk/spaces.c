#include "walk/spaces.h"

#include <stdlib.h>

#include "support/sorted.h"
#include "support/support.h"

/* A target with more nodes is hostile. */
#define NODES_LIMIT ((uint64_t)1 << 26)

/* Beside those of find_fields. */
static const char walk_names[] =
    "SPACE_READY SEGMENT_HOLE SEGMENT_PROCESS SEGMENT_DOOMED SEGMENT_BITS DICT_ADDRESS_BITS HANDLE_NUMBER_BITS "
    "HANDLE_GENERATION_BITS";

static const char lock_names[] = "space_root.lock.state mems_space.lock.state";

static const char node_names[] =
    "mems_space.nodes.main mems_space.nodes.sub mems_space.dict.tables mems_space.dict.leaves "
    "mems_space.store.pool pool pool.roomy pool.full pool.empty POOL_CHUNK";

static const char store_names[] =
    "mems_space.store.regions mems_space.store.spare mems_space.store.next region.link region.memory region.size "
    "region.mapped";

static const char all_spaces[] = "all of the MeMS heap";

/* Of the root, a space, main node or sub node. */
struct fields {
    struct field first, spaces;
    struct field next; /* of a list */
    struct field space_link, space_state, space_chain, space_movable, space_number;
    struct field main, main_link, main_start, main_last, main_segments, main_memory;
    struct field sub, sub_link, sub_start, sub_last, sub_physical, sub_tag;
    uint64_t ready, hole, process, doomed;
    uint64_t kind_bits, address_bits, number_bits, generation_bits;
};

/* False if the library lacks one. */
static bool find_fields(struct layout *layout, struct fields *fields) {
    const struct wanted names[] = {
        {"space_root.first", &fields->first},
        {"space_root.spaces", &fields->spaces},
        {"list.next", &fields->next},
        {"mems_space.link", &fields->space_link},
        {"mems_space.state", &fields->space_state},
        {"mems_space.chain.list", &fields->space_chain},
        {"mems_space.movable", &fields->space_movable},
        {"mems_space.number", &fields->space_number},
        {"main_node", &fields->main},
        {"main_node.link", &fields->main_link},
        {"main_node.range.start", &fields->main_start},
        {"main_node.range.last", &fields->main_last},
        {"main_node.sub_chain", &fields->main_segments},
        {"main_node.memory.start", &fields->main_memory},
        {"sub_node", &fields->sub},
        {"sub_node.link", &fields->sub_link},
        {"sub_node.start", &fields->sub_start},
        {"sub_node.last", &fields->sub_last},
        {"sub_node.physical", &fields->sub_physical},
        {"sub_node.tag", &fields->sub_tag},
    };
    fields->ready = layout_constant(layout, "SPACE_READY", 1);
    fields->hole = layout_constant(layout, "SEGMENT_HOLE", 0);
    fields->process = layout_constant(layout, "SEGMENT_PROCESS", 0);
    fields->doomed = layout_constant(layout, "SEGMENT_DOOMED", 0);
    fields->kind_bits = layout_constant(layout, "SEGMENT_BITS", 0);
    fields->address_bits = layout_constant(layout, "DICT_ADDRESS_BITS", 0);
    fields->number_bits = layout_constant(layout, "HANDLE_NUMBER_BITS", 0);
    fields->generation_bits = layout_constant(layout, "HANDLE_GENERATION_BITS", 0);
    const bool found = layout_find(layout, all_spaces, names, COUNT_OF(names));
    return layout_has(layout, all_spaces, walk_names) && found;
}

struct walk {
    struct target *target;
    struct fields fields;
    bool (*visit)(const struct space_segment *segment, void *context);
    void *context;
    uint64_t nodes;
    uint64_t number; /* of the space's handles */
    unsigned spaces; /* walked so far */
    const char *broken;
    bool enough;
};

/* Reads a structure of up to 4096 bytes. */
static bool read_node(struct walk *walk, uint64_t address, struct field whole, char *copy) {
    return whole.size != 0 && whole.size <= 4096 && target_read(walk->target, address, copy, whole.size) &&
           ++walk->nodes < NODES_LIMIT;
}

static uint64_t low_bits(uint64_t count) {
    return count < 64 ? ((uint64_t)1 << count) - 1 : UINT64_MAX;
}

static bool set_kind(const struct walk *walk, struct space_segment *segment, uint64_t tag) {
    const struct fields *fields = &walk->fields;
    uint64_t kind = tag & low_bits(fields->kind_bits);
    segment->kind = kind == fields->process ? SPACE_PROCESS : kind == fields->doomed ? SPACE_DOOMED : SPACE_HOLE;
    return segment->kind != SPACE_HOLE || kind == fields->hole;
}

/* Without generations, a space has number 0, and handles are addresses. */
static uint64_t handle_of(const struct walk *walk, uint64_t tag, uint64_t start) {
    const struct fields *fields = &walk->fields;
    if (walk->number == 0) {
        return start;
    }
    uint64_t generation = tag >> fields->kind_bits & low_bits(fields->generation_bits);
    return (generation << fields->number_bits | walk->number) << fields->address_bits | start;
}

static const char *walk_segments(struct walk *walk, uint64_t head, uint64_t link, struct space_segment *segment,
                                 uint64_t memory) {
    const struct fields *fields = &walk->fields;
    char copy[4096];
    uint64_t expected = segment->main_start;
    segment->begins_main = true;
    for (; link != head && !walk->enough; segment->begins_main = false) {
        uint64_t node = link - fields->sub_link.offset;
        if (!read_node(walk, node, fields->sub, copy)) {
            return "a sub-chain leads to nothing";
        }
        segment->node = node;
        segment->start = field_of(copy, fields->sub.size, fields->sub_start);
        segment->last = field_of(copy, fields->sub.size, fields->sub_last);
        uint64_t tag = field_of(copy, fields->sub.size, fields->sub_tag);
        if (!set_kind(walk, segment, tag)) {
            return "a segment is of no known kind";
        }
        if (segment->start != expected || segment->last < segment->start || segment->last > segment->main_last) {
            return "the segments of a main node do not tile it";
        }
        segment->physical = memory != 0 ? memory + (segment->start - segment->main_start) : 0;
        if (segment->kind != SPACE_HOLE) {
            uint64_t physical = field_of(copy, fields->sub.size, fields->sub_physical);
            if (physical == 0 || (!segment->movable && physical != segment->physical)) {
                return "a PROCESS does not have the memory that is its own";
            }
            segment->physical = physical;
        }
        segment->handle = handle_of(walk, tag, segment->start);
        walk->enough = !walk->visit(segment, walk->context);
        expected = segment->last + 1;
        link = field_of(copy, fields->sub.size, field_within(fields->sub_link, fields->next));
    }
    return walk->enough || expected == segment->main_last + 1 ? NULL : "the segments of a main node do not tile it";
}

static const char *walk_space(struct walk *walk, uint64_t space, unsigned number) {
    const struct fields *fields = &walk->fields;
    char copy[4096];
    uint64_t state;
    uint64_t movable;
    uint64_t link;
    uint64_t head = space + fields->space_chain.offset;
    if (!field_read(walk->target, space, fields->space_state, &state) ||
        !field_read(walk->target, space, fields->space_movable, &movable) ||
        !field_read(walk->target, space, fields->space_number, &walk->number)) {
        return "a space cannot be read";
    }
    if (state != fields->ready) {
        return NULL;
    }
    if (!field_read(walk->target, head, fields->next, &link)) {
        return "the main chain of a space cannot be read";
    }
    for (uint64_t expected = 0; link != head && !walk->enough;) {
        uint64_t node = link - fields->main_link.offset;
        if (!read_node(walk, node, fields->main, copy)) {
            return "a main chain leads to nothing";
        }
        struct space_segment segment = {.space = number,
                                        .space_address = space,
                                        .movable = movable != 0,
                                        .address_bits = (unsigned)fields->address_bits,
                                        .number_bits = (unsigned)fields->number_bits};
        segment.main_start = field_of(copy, fields->main.size, fields->main_start);
        segment.main_last = field_of(copy, fields->main.size, fields->main_last);
        if (segment.main_last < segment.main_start || (expected != 0 && segment.main_start != expected)) {
            return "the main nodes of a space do not follow each other";
        }
        const char *broken =
            walk_segments(walk, node + fields->main_segments.offset,
                          field_of(copy, fields->main.size, field_within(fields->main_segments, fields->next)),
                          &segment, field_of(copy, fields->main.size, fields->main_memory));
        if (broken != NULL) {
            return broken;
        }
        expected = segment.main_last + 1;
        link = field_of(copy, fields->main.size, field_within(fields->main_link, fields->next));
    }
    return NULL;
}

/* Visits every space's address, until `visit` returns false. NULL, or what is wrong. */
static const char *each_space(struct target *target, struct layout *layout, const struct fields *fields,
                              bool (*visit)(struct layout *layout, uint64_t space, void *context), void *context) {
    const uint64_t head = layout->start + fields->spaces.offset;
    uint64_t at = head;
    uint64_t space;
    if (!field_read(target, layout->start, fields->first, &space)) {
        return "the default space cannot be found";
    }
    struct circle circle = {0};
    for (; visit(layout, space, context); space = at - fields->space_link.offset) {
        if (!field_read(target, at, fields->next, &at) || circle_closed(&circle, at)) {
            return "the list of spaces is torn";
        }
        if (at == head) {
            break;
        }
    }
    return NULL;
}

static bool walk_next(struct layout *layout, uint64_t space, void *context) {
    struct walk *walk = context;
    (void)layout;
    walk->broken = walk_space(walk, space, walk->spaces++);
    return walk->broken == NULL && !walk->enough;
}

const char *spaces_walk(struct target *target, struct layout *layout,
                        bool (*visit)(const struct space_segment *segment, void *context), void *context) {
    struct walk walk = {.target = target, .visit = visit, .context = context};
    if (!find_fields(layout, &walk.fields)) {
        return NULL;
    }
    if (walk.fields.kind_bits == 0 || walk.fields.kind_bits > 31 || walk.fields.address_bits == 0 ||
        walk.fields.address_bits + walk.fields.number_bits + walk.fields.generation_bits != 64) {
        return "its root leads to invalid data";
    }
    const char *torn = each_space(target, layout, &walk.fields, walk_next, &walk);
    return walk.broken != NULL ? walk.broken : torn;
}

const char *const space_kind_names[] = {
    [SPACE_HOLE] = "HOLE", [SPACE_PROCESS] = "PROCESS", [SPACE_DOOMED] = "doomed PROCESS"};

bool segment_holds(const struct space_segment *segment, uint64_t handle) {
    return handle - segment->handle <= segment->last - segment->start;
}

bool segment_held(const struct space_segment *segment, uint64_t handle) {
    uint64_t changeable = ~low_bits(segment->address_bits + segment->number_bits);
    bool has_generations = segment->handle >> segment->address_bits != 0;
    return has_generations &&
           (handle & ~changeable) - (segment->handle & ~changeable) <= segment->last - segment->start;
}

/* --- Locks -------------------------------------------------------------------------------------------------------- */

struct locks {
    struct target *target;
    bool held;
};

static bool is_free(struct layout *layout, uint64_t space, void *context) {
    struct locks *locks = context;
    uint64_t state;
    locks->held = field_read(locks->target, space, layout_field(layout, "mems_space.lock.state"), &state) && state != 0;
    return !locks->held;
}

const char *spaces_held(struct target *target, struct layout *layout) {
    struct locks locks = {.target = target};
    struct fields fields;
    uint64_t state;
    if (!find_fields(layout, &fields) ||
        !layout_has(layout, "whether a thread holds a lock of the MeMS heap", lock_names)) {
        return NULL;
    }
    if (field_read(target, layout->start, layout_field(layout, "space_root.lock.state"), &state) && state != 0) {
        return "space_root.lock.state";
    }
    each_space(target, layout, &fields, is_free, &locks);
    return locks.held ? "mems_space.lock.state" : NULL;
}

/* --- Areas -------------------------------------------------------------------------------------------------------- */

struct place {
    uint64_t start, end;
};

/* Whose areas are shown; the blocks of movable spaces, ascending once all have been met. */
struct tour {
    struct target *target;
    void (*visit)(enum space_area area, uint64_t start, uint64_t end, void *context);
    void *context;
    struct place *places;
    size_t count;
};

static bool show_segment(const struct space_segment *segment, void *context) {
    struct tour *tour = context;
    uint64_t end = segment->physical + (segment->last - segment->start + 1);
    if (segment->physical != 0) {
        tour->visit(segment->kind == SPACE_HOLE ? AREA_HOLE : AREA_LIVE, segment->physical, end, tour->context);
    }
    if (segment->movable && segment->kind != SPACE_HOLE) {
        tour->places = grow(tour->places, tour->count, sizeof *tour->places);
        tour->places[tour->count++] = (struct place){segment->physical, end};
    }
    return true;
}

/* The chunks of one of a pool's lists, whose head was copied. An unused pool has no lists yet. */
static void show_chunks(const struct tour *tour, struct layout *layout, uint64_t head, uint64_t link) {
    struct field next = layout_field(layout, "list.next");
    uint64_t size = layout_constant(layout, "POOL_CHUNK", 0);
    struct circle circle = {0};
    while (size <= 1 << 24 && link != 0 && link != head && !circle_closed(&circle, link)) {
        tour->visit(AREA_NODES, link, link + size, tour->context);
        if (!field_read(tour->target, link, next, &link)) {
            break;
        }
    }
}

/* Pools that lie behind each other. */
static void show_pools(const struct tour *tour, struct layout *layout, uint64_t pools, uint64_t count) {
    struct field next = layout_field(layout, "list.next");
    const struct field lists[] = {layout_field(layout, "pool.roomy"), layout_field(layout, "pool.full"),
                                  layout_field(layout, "pool.empty")};
    const uint64_t each = layout_field(layout, "pool").size;
    char *copy = make(larger(count * each, 1));
    bool read = target_read(tour->target, pools, copy, count * each);
    for (uint64_t pool = 0; read && pool < count; pool++) {
        for (unsigned i = 0; i < COUNT_OF(lists); i++) {
            uint64_t link = field_of(copy + pool * each, each, field_within(lists[i], next));
            show_chunks(tour, layout, pools + pool * each + lists[i].offset, link);
        }
    }
    free(copy);
}

/* Of a movable space: the bytes outside blocks, and the slots. */
static void show_region(struct tour *tour, struct layout *layout, uint64_t region) {
    uint64_t memory;
    uint64_t size;
    uint64_t mapped;
    if (region == 0 || !field_read(tour->target, region, layout_field(layout, "region.memory"), &memory) ||
        !field_read(tour->target, region, layout_field(layout, "region.size"), &size) ||
        !field_read(tour->target, region, layout_field(layout, "region.mapped"), &mapped) || mapped < size ||
        memory + mapped < memory) {
        return;
    }
    uint64_t at = memory;
    size_t i = sorted_from(tour->places, tour->count, sizeof *tour->places, memory);
    for (; i < tour->count && at < memory + size; i++) {
        const struct place *place = &tour->places[i];
        if (place->start >= memory + size) {
            break;
        }
        if (place->start > at) {
            tour->visit(AREA_HOLE, at, place->start, tour->context);
        }
        at = larger(at, place->end);
    }
    if (at < memory + size) {
        tour->visit(AREA_HOLE, at, memory + size, tour->context);
    }
    if (mapped > size) {
        tour->visit(AREA_NODES, memory + size, memory + mapped, tour->context);
    }
}

static void show_store(struct tour *tour, struct layout *layout, uint64_t space) {
    struct target *target = tour->target;
    struct field next = layout_field(layout, "list.next");
    struct field link = layout_field(layout, "region.link");
    static const char *const singles[] = {"mems_space.store.spare", "mems_space.store.next"};
    uint64_t head = space + layout_field(layout, "mems_space.store.regions").offset;
    uint64_t region;
    for (unsigned i = 0; i < COUNT_OF(singles); i++) {
        if (field_read(target, space, layout_field(layout, singles[i]), &region)) {
            show_region(tour, layout, region);
        }
    }
    struct circle circle = {0};
    for (uint64_t at = head; field_read(target, at, next, &at) && at != head && !circle_closed(&circle, at);) {
        show_region(tour, layout, at - link.offset);
    }
}

static bool show_space(struct layout *layout, uint64_t space, void *context) {
    static const char *const pools[] = {"mems_space.nodes.main", "mems_space.nodes.sub", "mems_space.dict.tables",
                                        "mems_space.store.pool"};
    struct tour *tour = context;
    struct field leaves = layout_field(layout, "mems_space.dict.leaves");
    uint64_t each = layout_field(layout, "pool").size;
    if (layout_has(layout, "the memory of movable spaces", store_names)) {
        show_store(tour, layout, space);
    }
    if (!layout_has(layout, "the memory of the MeMS heap's nodes", node_names)) {
        return true;
    }
    for (unsigned i = 0; i < COUNT_OF(pools); i++) {
        show_pools(tour, layout, space + layout_field(layout, pools[i]).offset, 1);
    }
    if (each != 0) {
        show_pools(tour, layout, space + leaves.offset, leaves.size / each);
    }
    return true;
}

const char *spaces_areas(struct target *target, struct layout *layout,
                         void (*visit)(enum space_area area, uint64_t start, uint64_t end, void *context),
                         void *context) {
    struct tour tour = {.target = target, .visit = visit, .context = context};
    const char *trouble = spaces_walk(target, layout, show_segment, &tour);
    sort(tour.places, tour.count, sizeof *tour.places);
    struct fields fields;
    if (find_fields(layout, &fields)) {
        each_space(target, layout, &fields, show_space, &tour);
    }
    free(tour.places);
    return trouble;
}
