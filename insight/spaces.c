#include "spaces.h"

#include <string.h>

#include "account.h"
#include "support.h"

/* More nodes than these are a hostile target's. */
#define NODES_LIMIT ((uint64_t)1 << 26)

/* The numbers of a space, main node or sub node that a walk needs. */
struct fields {
    struct field next; /* of a list */
    struct field space_link, space_state, space_chain;
    struct field main, main_link, main_start, main_last, main_segments, main_memory;
    struct field sub, sub_link, sub_start, sub_last, sub_tag;
    uint64_t ready, process;
};

static void find_fields(struct layout *layout, struct fields *fields) {
    const struct {
        const char *name;
        struct field *field;
    } names[] = {
        {"list.next", &fields->next},
        {"mems_space.link", &fields->space_link},
        {"mems_space.state", &fields->space_state},
        {"mems_space.chain.list", &fields->space_chain},
        {"main_node", &fields->main},
        {"main_node.link", &fields->main_link},
        {"main_node.range.start", &fields->main_start},
        {"main_node.range.last", &fields->main_last},
        {"main_node.sub_chain", &fields->main_segments},
        {"main_node.memory", &fields->main_memory},
        {"sub_node", &fields->sub},
        {"sub_node.link", &fields->sub_link},
        {"sub_node.range.start", &fields->sub_start},
        {"sub_node.range.last", &fields->sub_last},
        {"sub_node.range.node.tag", &fields->sub_tag},
    };
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        *names[i].field = layout_field(layout, names[i].name);
    }
    fields->ready = layout_constant(layout, "SPACE_READY", 1);
    fields->process = layout_constant(layout, "SEGMENT_PROCESS", 0);
}

struct walk {
    struct target *target;
    struct fields fields;
    bool (*visit)(const struct space_segment *segment, void *context);
    void *context;
    uint64_t nodes;
    bool enough;
};

/* Reads a structure of up to 4096 bytes. */
static bool read_node(struct walk *walk, uint64_t address, struct field whole, char *copy) {
    return whole.size != 0 && whole.size <= 4096 && target_read(walk->target, address, copy, whole.size) &&
           ++walk->nodes < NODES_LIMIT;
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
        segment->start = field_of(copy, fields->sub.size, fields->sub_start);
        segment->last = field_of(copy, fields->sub.size, fields->sub_last);
        segment->is_process = field_of(copy, fields->sub.size, fields->sub_tag) == fields->process;
        if (segment->start != expected || segment->last < segment->start || segment->last > segment->main_last) {
            return "the segments of a main node do not tile it";
        }
        segment->physical = memory != 0 ? memory + (segment->start - segment->main_start) : 0;
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
    uint64_t link;
    uint64_t head = space + fields->space_chain.offset;
    if (!field_read(walk->target, space, fields->space_state, &state)) {
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
        struct space_segment segment = {.space = number};
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

const char *spaces_walk(struct target *target, struct layout *layout,
                        bool (*visit)(const struct space_segment *segment, void *context), void *context) {
    struct walk walk = {.target = target, .visit = visit, .context = context};
    struct field spaces = layout_field(layout, "space_root.spaces");
    uint64_t space;
    find_fields(layout, &walk.fields);
    if (!field_read(target, layout->start, layout_field(layout, "space_root.first"), &space)) {
        return "the default space cannot be found";
    }
    const char *broken = walk_space(&walk, space, 0);
    uint64_t head = layout->start + spaces.offset;
    uint64_t link;
    if (broken != NULL || !field_read(target, head, walk.fields.next, &link)) {
        return broken != NULL ? broken : "the list of spaces cannot be read";
    }
    struct circle circle = {0};
    for (unsigned number = 1; link != head && !walk.enough && broken == NULL; number++) {
        broken = walk_space(&walk, link - walk.fields.space_link.offset, number);
        if (broken == NULL && (circle_closed(&circle, link) || !field_read(target, link, walk.fields.next, &link))) {
            broken = "the list of spaces is torn";
        }
    }
    return broken;
}

/* --- Counting ----------------------------------------------------------------------------------------------------- */

static bool count_segment(const struct space_segment *segment, void *context) {
    if (segment->physical != 0) {
        account_range(context, segment->is_process ? ROW_SPACES_LIVE : ROW_SPACES_HOLES, segment->physical,
                      segment->physical + (segment->last - segment->start + 1));
    }
    return true;
}

/* The chunks in which a space's nodes lie. */
static void count_pool(struct account *account, struct layout *layout, uint64_t pool) {
    struct field next = layout_field(layout, "list.next");
    const struct field lists[] = {layout_field(layout, "node_pool.roomy"), layout_field(layout, "node_pool.full")};
    uint64_t size;
    if (!field_read(account->target, pool, layout_field(layout, "node_pool.chunk_size"), &size) || size == 0 ||
        size > 1 << 20) {
        return;
    }
    for (unsigned i = 0; i < COUNT_OF(lists); i++) {
        uint64_t head = pool + lists[i].offset;
        uint64_t link = head;
        struct circle circle = {0};
        while (field_read(account->target, link, next, &link) && link != head && !circle_closed(&circle, link)) {
            account_range(account, ROW_SPACES_NODES, link, link + size);
        }
    }
}

static void count_nodes(struct account *account, struct layout *layout, uint64_t space) {
    count_pool(account, layout, space + layout_field(layout, "mems_space.nodes.main").offset);
    count_pool(account, layout, space + layout_field(layout, "mems_space.nodes.sub").offset);
}

void spaces_count(struct account *account, struct layouts *layouts) {
    struct layout *layout = layouts_of(layouts, ROOT_SPACES);
    uint64_t space;
    if (layout == NULL) {
        return;
    }
    struct field link = layout_field(layout, "mems_space.link");
    struct field next = layout_field(layout, "list.next");
    uint64_t head = layout->start + layout_field(layout, "space_root.spaces").offset;
    account->spaces_trouble = spaces_walk(account->target, layout, count_segment, account);
    if (!field_read(account->target, layout->start, layout_field(layout, "space_root.first"), &space)) {
        return;
    }
    count_nodes(account, layout, space);
    struct circle circle = {0};
    for (uint64_t at = head; field_read(account->target, at, next, &at) && at != head && !circle_closed(&circle, at);) {
        count_nodes(account, layout, at - link.offset);
    }
}
