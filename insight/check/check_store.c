/* check_store.c - `mems check`: in movable spaces, a region's slots lead to its blocks, in order. */
#include <inttypes.h>

#include "check/check.h"
#include "support/support.h"

static const char store_names[] =
    "list.next mems_space.store.regions region region.link region.memory region.mapped region.size region.top "
    "region.live region.blocks region.slots region.slots_max region.only sub_node sub_node.start sub_node.last "
    "sub_node.physical sub_node.region sub_node.slot";

/* With the blocks that its slots lead to. */
struct region {
    uint64_t address, memory, mapped, size, top, live, blocks, slots, slots_max;
    uint64_t found, bytes; /* blocks that slots lead to */
    uint64_t end;          /* of the last of them */
};

static bool read_region(struct check *check, const struct layout *layout, struct region *region) {
    const struct {
        const char *name;
        uint64_t *value;
    } members[] = {
        {"region.memory", &region->memory}, {"region.mapped", &region->mapped},
        {"region.size", &region->size},     {"region.top", &region->top},
        {"region.live", &region->live},     {"region.blocks", &region->blocks},
        {"region.slots", &region->slots},   {"region.slots_max", &region->slots_max},
    };
    for (size_t i = 0; i < COUNT_OF(members); i++) {
        if (!field_read(&check->session->target, region->address, layout_field(layout, members[i].name),
                        members[i].value)) {
            return false;
        }
    }
    return region->slots <= region->slots_max && region->top <= region->size && region->size <= region->mapped &&
           (region->slots_max == 1 || region->slots <= (region->mapped - region->size) / 8) &&
           region->memory + region->mapped >= region->memory;
}

/* Slots fill the mapping from its end down; a region for a single block contains its slot. */
static uint64_t slot_at(const struct layout *layout, const struct region *region, uint64_t slot) {
    return region->slots_max == 1 ? region->address + layout_field(layout, "region.only").offset
                                  : region->memory + region->mapped - 8 * (slot + 1);
}

static uint64_t member(const void *node, const struct layout *layout, const char *name) {
    return field_of(node, layout_field(layout, "sub_node").size, layout_field(layout, name));
}

/* A slot's block is behind those of the slots before, and names the region and the slot. */
static bool meet_block(struct check *check, const struct layout *layout, struct region *region, uint64_t node,
                       uint64_t slot) {
    char copy[256];
    const size_t size = layout_field(layout, "sub_node").size;
    if (size > sizeof copy || !target_read(&check->session->target, node, copy, size)) {
        return false;
    }
    const uint64_t physical = member(copy, layout, "sub_node.physical");
    const uint64_t bytes = member(copy, layout, "sub_node.last") - member(copy, layout, "sub_node.start") + 1;
    if (member(copy, layout, "sub_node.region") != region->address || member(copy, layout, "sub_node.slot") != slot ||
        physical < region->end || bytes > region->memory + region->top - physical) {
        return false;
    }
    region->end = physical + bytes;
    region->found++;
    region->bytes += bytes;
    return true;
}

/* The number of its blocks. */
static uint64_t check_region(struct check *check, const struct layout *layout, uint64_t address) {
    struct region region = {.address = address};
    if (!read_region(check, layout, &region)) {
        check_find(check, "spaces", address, "a region of a movable space is invalid");
        return 0;
    }
    region.end = region.memory;
    for (uint64_t slot = 0; slot < region.slots; slot++) {
        uint64_t node;
        if (!target_read_pointer(&check->session->target, slot_at(layout, &region, slot), &node)) {
            check_find(check, "spaces", address, "the slots of a region cannot be read");
            return 0;
        }
        if (node != 0 && !meet_block(check, layout, &region, node, slot)) {
            check_find(check, "spaces", node,
                       "slot %" PRIu64 " of a region leads to no block of the region, or out of order", slot);
            return region.found;
        }
    }
    if (region.found != region.blocks || region.bytes != region.live) {
        check_find(check, "spaces", address,
                   "a region has %" PRIu64 " blocks of %" PRIu64 " bytes by its slots, and %" PRIu64 " of %" PRIu64
                   " by its own count",
                   region.found, region.bytes, region.blocks, region.live);
    }
    return region.found;
}

void check_store(struct check *check, struct layout *layout, uint64_t space, uint64_t processes) {
    if (!layout_has(layout, "whether the regions of movable spaces are whole", store_names)) {
        return;
    }
    struct target *target = &check->session->target;
    const struct field next = layout_field(layout, "list.next");
    const struct field link = layout_field(layout, "region.link");
    const uint64_t head = space + layout_field(layout, "mems_space.store.regions").offset;
    struct circle circle = {0};
    uint64_t blocks = 0;
    uint64_t at = head;
    while (field_read(target, at, next, &at) && at != head) {
        if (circle_closed(&circle, at)) {
            check_find(check, "spaces", at, "the list of a movable space's regions is broken");
            return;
        }
        blocks += check_region(check, layout, at - link.offset);
    }
    if (at != head || blocks != processes) {
        check_find(check, "spaces", space,
                   "the regions of a movable space have %" PRIu64 " blocks, and it has %" PRIu64 " PROCESSes", blocks,
                   processes);
    }
}
