#include "walk/engine_huge.h"

#include <stdlib.h>

#include "support/sorted.h"
#include "support/support.h"
#include "walk/tree.h"

/* A target with more huge blocks is hostile. */
#define HUGE_LIMIT 65536u

struct engine_huge *engine_huge_blocks(struct engine *engine, size_t *count) {
    const struct layout *layout = engine->layout;
    const struct tree_fields fields = {layout_field(layout, "range_node.node"),
                                       layout_field(layout, "range_node.node.left"),
                                       layout_field(layout, "range_node.node.right")};
    const struct field start = layout_field(layout, "range_node.start");
    const struct field last = layout_field(layout, "range_node.last");
    uint64_t root;
    size_t nodes = 0;
    uint64_t *found = NULL;
    bool whole;
    *count = 0;
    if (engine->has_huge &&
        field_read(engine->target, engine->huge_table, layout_field(layout, "huge_table.live.tree.root"), &root)) {
        found = tree_structures(engine->target, root, &fields, HUGE_LIMIT, &nodes, &whole);
    }
    struct engine_huge *blocks = make(nodes * sizeof *blocks);
    for (size_t i = 0; i < nodes; i++) {
        struct engine_huge *block = &blocks[*count];
        block->descriptor = found[i] - layout_field(layout, "huge.node").offset;
        if (field_read(engine->target, found[i], start, &block->start) &&
            field_read(engine->target, found[i], last, &block->last) && block->last >= block->start) {
            ++*count;
        }
    }
    free(found);
    sort(blocks, *count, sizeof *blocks);
    return blocks;
}

bool engine_holds(struct engine *engine, uint64_t address) {
    size_t count;
    struct engine_huge *blocks = engine_huge_blocks(engine, &count);
    bool holds = address - engine->units.start < engine->units.accessible;
    for (size_t i = 0; i < count && !holds; i++) {
        holds = address >= blocks[i].start && address <= blocks[i].last;
    }
    free(blocks);
    return holds;
}

bool engine_huge_freed(struct engine *engine, uint64_t address, struct engine_huge *block) {
    struct field freed = layout_field(engine->layout, "huge_table.freed");
    uint64_t ends[2];
    for (uint64_t at = 0; engine->has_freed && at + sizeof ends <= freed.size; at += sizeof ends) {
        if (target_read(engine->target, engine->huge_table + freed.offset + at, ends, sizeof ends) && ends[1] != 0 &&
            address >= ends[0] && address <= ends[1]) {
            *block = (struct engine_huge){.start = ends[0], .last = ends[1]};
            return true;
        }
    }
    return false;
}
