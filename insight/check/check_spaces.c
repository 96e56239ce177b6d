/* check_spaces.c - `mems check`: the MeMS heap's segments, and each space's dictionary, which leads from every address
 * to its PROCESS (src/mems_heap/dict.h). */
#include <stdlib.h>

#include "check/check.h"
#include "support/sorted.h"
#include "support/support.h"
#include "walk/spaces.h"

static const char dict_names[] =
    "mems_space.dict.root mems_space.dict.height mems_space.dict.count mems_space.dict.leaves pool pool.cell_size "
    "full_leaf full_leaf.starts full_leaf.before POOL_GRAIN TABLE_BITS TYPE_TABLE TYPE_LEAF FRAME_BITS GRANULE "
    "MAIN_CHAIN_START LEAF_SHORT_KINDS LEAF_SHORT_SHARE LEAF_NO_KEY";

/* Offsets of the first and last address; `met`: to how many of its bytes the dictionary leads. */
struct process {
    uint64_t node;
    uint64_t first, last;
    uint64_t met;
};

struct spaces {
    struct check *check;
    struct layout *layout;
    uint64_t space; /* whose processes these are; 0: none yet */
    bool movable;   /* so is it */
    struct process *processes;
    size_t count;
    uint64_t table_bits, frame_bits, granule, origin, type_mask, type_table, type_leaf;
    uint64_t short_kinds, short_share, no_key;
};

static void find(const struct spaces *spaces, uint64_t where, const char *what) {
    check_find(spaces->check, "spaces", where, "%s", what);
}

static struct process *find_process(const struct spaces *spaces, uint64_t node) {
    return sorted_find(spaces->processes, spaces->count, sizeof *spaces->processes, node);
}

/* The dictionary says that a PROCESS has the offsets first .. last. */
static bool meet(struct spaces *spaces, uint64_t node, uint64_t first, uint64_t last) {
    struct process *process = find_process(spaces, node);
    if (process == NULL || first < process->first || last > process->last || last < first) {
        find(spaces, node, "the dictionary leads to a place that is not a PROCESS with the address");
        return false;
    }
    process->met += last - first + 1;
    return true;
}

/* An entry's only PROCESS. */
static void check_single(struct spaces *spaces, uint64_t node, uint64_t base, uint64_t last) {
    const struct process *process = find_process(spaces, node);
    if (process == NULL) {
        find(spaces, node, "the dictionary leads to a place that is not a PROCESS with the address");
    } else {
        meet(spaces, node, larger(base, process->first), smaller(last, process->last));
    }
}

/* In the addresses base .. last, from `key` granules on. */
static void check_part(struct spaces *spaces, uint64_t node, uint64_t base, uint64_t last, uint64_t key) {
    const struct process *process = find_process(spaces, node);
    if (process != NULL && base + key * spaces->granule != larger(base, process->first)) {
        find(spaces, node, "a leaf of the dictionary is out of order");
        return;
    }
    check_single(spaces, node, base, last);
}

/* 16-bit lanes: each PROCESS's first granule, and the one behind its last. */
static void check_short_leaf(struct spaces *spaces, const uint64_t *cell, uint64_t size, uint64_t base) {
    const uint64_t room = size / spaces->short_share;
    const uint64_t *nodes = cell + size / 8 - room;
    for (uint64_t i = 0; i < room; i++) {
        const uint64_t key = cell[1 + i / 4] >> i % 4 * 16 & 0xffff;
        if (key == spaces->no_key) {
            break;
        }
        const uint64_t end = cell[1 + room / 4 + i / 4] >> i % 4 * 16 & 0xffff;
        check_part(spaces, nodes[i], base, base + end * spaces->granule - 1, key);
    }
}

/* A bit for each granule where a PROCESS begins; and how many do up to the end of each part of the frame. */
static void check_full_leaf(struct spaces *spaces, const uint64_t *cell, uint64_t size, uint64_t base) {
    const struct field starts = layout_field(spaces->layout, "full_leaf.starts");
    const struct field before = layout_field(spaces->layout, "full_leaf.before");
    const uint16_t *counts = (const uint16_t *)(const void *)((const char *)cell + before.offset);
    const uint64_t nodes = layout_field(spaces->layout, "full_leaf").size / 8;
    const uint64_t keys = (uint64_t)starts.size * 8;
    const uint64_t part = keys / (before.size / 2);
    uint64_t count = 0;
    for (uint64_t key = 0; key < keys; key++) {
        if ((cell[starts.offset / 8 + key / 64] >> key % 64 & 1) != 0) {
            if (nodes + count >= size / 8) {
                find(spaces, base, "a leaf of the dictionary has too many PROCESSes");
                return;
            }
            check_part(spaces, cell[nodes + count++], base, base + ((uint64_t)1 << spaces->frame_bits) - 1, key);
        }
        if (key % part == part - 1 && counts[key / part] != count) {
            find(spaces, base, "a leaf of the dictionary has a wrong count of PROCESSes");
            return;
        }
    }
}

/* Several PROCESSes in a frame. */
static void check_leaf(struct spaces *spaces, uint64_t leaf, uint64_t kind, uint64_t base) {
    struct target *target = &spaces->check->session->target;
    const struct field leaves = layout_field(spaces->layout, "mems_space.dict.leaves");
    const struct field pool = layout_field(spaces->layout, "pool");
    const uint64_t full = layout_field(spaces->layout, "full_leaf").size;
    uint64_t cell[1 << 10];
    uint64_t size = 0;
    if ((kind + 1) * pool.size <= leaves.size) {
        field_read(target, spaces->space + leaves.offset + kind * pool.size,
                   layout_field(spaces->layout, "pool.cell_size"), &size);
    }
    const bool is_short = kind < spaces->short_kinds;
    if (size < (is_short ? 8 * spaces->short_share / 4 : full) || size > sizeof cell || size % 8 != 0 ||
        !target_read(target, leaf, cell, size)) {
        find(spaces, leaf, "a leaf of the dictionary cannot be read");
    } else if (is_short) {
        check_short_leaf(spaces, cell, size, base);
    } else {
        check_full_leaf(spaces, cell, size, base);
    }
}

/* The entry's addresses begin at the offset `base`. No table is deeper than its height. */
static void check_entry_of(struct spaces *spaces, uint64_t entry, uint64_t height, uint64_t base) {
    struct target *target = &spaces->check->session->target;
    const uint64_t type = entry & spaces->type_mask;
    const uint64_t cell = entry & ~spaces->type_mask;
    const uint64_t bits = spaces->frame_bits + spaces->table_bits * height;
    uint64_t entries[1 << 12];
    const uint64_t count = (uint64_t)1 << spaces->table_bits;
    if (entry == 0) {
        return;
    }
    if (type >= spaces->type_leaf && height == 0) {
        check_leaf(spaces, cell, type - spaces->type_leaf, base);
    } else if (type != spaces->type_table) {
        check_single(spaces, cell, base, base + ((uint64_t)1 << bits) - 1);
    } else if (height == 0 || !target_read(target, cell, entries, count * sizeof *entries)) {
        find(spaces, cell, "a table of the dictionary cannot be read, or lies too deep");
    } else {
        for (uint64_t i = 0; i < count && spaces->check->found < FINDINGS_TOLD; i++) {
            check_entry_of(spaces, entries[i], height - 1, base + (i << (bits - spaces->table_bits)));
        }
    }
}

/* From each address of a PROCESS to it, and nowhere else. */
static void check_dictionary(struct spaces *spaces) {
    struct target *target = &spaces->check->session->target;
    const struct layout *layout = spaces->layout;
    uint64_t root;
    uint64_t height;
    uint64_t told;
    sort(spaces->processes, spaces->count, sizeof *spaces->processes);
    if (!field_read(target, spaces->space, layout_field(layout, "mems_space.dict.root"), &root) ||
        !field_read(target, spaces->space, layout_field(layout, "mems_space.dict.height"), &height) ||
        !field_read(target, spaces->space, layout_field(layout, "mems_space.dict.count"), &told) ||
        spaces->frame_bits + spaces->table_bits * height > 60) {
        find(spaces, spaces->space, "the dictionary of a space cannot be read");
        return;
    }
    if (told != spaces->count) {
        find(spaces, spaces->space, "the dictionary of a space has a wrong count of PROCESSes");
    }
    check_entry_of(spaces, root, height, 0);
    for (size_t i = 0; i < spaces->count; i++) {
        const struct process *process = &spaces->processes[i];
        if (process->met != process->last - process->first + 1) {
            find(spaces, process->node, "the dictionary does not lead to all of a PROCESS");
        }
    }
}

static void check_space(struct spaces *spaces) {
    if (spaces->space != 0) {
        check_dictionary(spaces);
        if (spaces->movable) {
            check_store(spaces->check, spaces->layout, spaces->space, spaces->count);
        }
    }
    spaces->count = 0;
}

static bool take_segment(const struct space_segment *segment, void *context) {
    struct spaces *spaces = context;
    spaces->check->segments++;
    if (segment->space_address != spaces->space) {
        check_space(spaces);
        spaces->space = segment->space_address;
        spaces->movable = segment->movable;
    }
    if (segment->kind != SPACE_HOLE) {
        spaces->processes = grow(spaces->processes, spaces->count, sizeof *spaces->processes);
        spaces->processes[spaces->count++] = (struct process){
            .node = segment->node, .first = segment->start - spaces->origin, .last = segment->last - spaces->origin};
    }
    return true;
}

static bool count_segment(const struct space_segment *segment, void *context) {
    (void)segment;
    ++*(uint64_t *)context;
    return true;
}

static bool read_constants(struct spaces *spaces) {
    const struct layout *layout = spaces->layout;
    spaces->table_bits = layout_constant(layout, "TABLE_BITS", 0);
    spaces->frame_bits = layout_constant(layout, "FRAME_BITS", 0);
    spaces->granule = layout_constant(layout, "GRANULE", 0);
    spaces->origin = layout_constant(layout, "MAIN_CHAIN_START", 0);
    spaces->type_mask = layout_constant(layout, "POOL_GRAIN", 1) - 1;
    spaces->type_table = layout_constant(layout, "TYPE_TABLE", 0);
    spaces->type_leaf = layout_constant(layout, "TYPE_LEAF", 0);
    spaces->short_kinds = layout_constant(layout, "LEAF_SHORT_KINDS", 0);
    spaces->short_share = layout_constant(layout, "LEAF_SHORT_SHARE", 0);
    spaces->no_key = layout_constant(layout, "LEAF_NO_KEY", 0);
    const struct field full_leaf = layout_field(layout, "full_leaf");
    const struct field starts = layout_field(layout, "full_leaf.starts");
    const struct field before = layout_field(layout, "full_leaf.before");
    return spaces->table_bits >= 1 && spaces->table_bits <= 12 && spaces->frame_bits <= 24 &&
           (spaces->type_mask & (spaces->type_mask + 1)) == 0 && spaces->short_share >= 8 + 3 * 2 &&
           spaces->granule >= 1 && full_leaf.size % 8 == 0 && full_leaf.size <= 4096 && starts.offset % 8 == 0 &&
           starts.size % 8 == 0 && starts.offset + starts.size <= full_leaf.size && before.offset % 2 == 0 &&
           before.size >= 2 && (uint64_t)starts.size * 8 % (before.size / 2) == 0 &&
           before.offset + before.size <= full_leaf.size;
}

void check_spaces(struct check *check, struct layout *layout) {
    struct spaces spaces = {.check = check, .layout = layout};
    const bool whole = layout_has(layout, "whether the dictionaries of spaces are whole", dict_names);
    const char *broken;
    if (whole && !read_constants(&spaces)) {
        broken = "the dictionary is described in a way that makes no sense";
    } else if (whole) {
        broken = spaces_walk(&check->session->target, layout, take_segment, &spaces);
        if (broken == NULL) {
            check_space(&spaces);
        }
    } else {
        broken = spaces_walk(&check->session->target, layout, count_segment, &check->segments);
    }
    if (broken != NULL) {
        check_find(check, "spaces", layout->start, "%s", broken);
    }
    free(spaces.processes);
}
