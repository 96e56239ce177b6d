/* space_layout.c - the rows of all structures that can be reached from the root of all spaces. */
#include "spaces.h"

/* clang-format off */
#define SPACE_ROWS(STRUCTURE, CONSTANT)                                                                                \
    STRUCTURE(space_root, first, lock.state, spaces)                                                                   \
    STRUCTURE(list, next)                                                                                              \
    STRUCTURE(mems_space, link, lock.state, state, movable, number, chain.list, nodes.main, nodes.sub,                 \
        dict.tables, dict.leaves, dict.count, dict.root, dict.height,                                                  \
        store.regions, store.spare, store.next, store.pool)                                                            \
    CONSTANT(SPACE_READY)                                                                                              \
    STRUCTURE(main_node, link, range.start, range.last, sub_chain, memory.start)                                       \
    STRUCTURE(sub_node, link, start, last, physical, region, slot, tag)                                                \
    CONSTANT(SEGMENT_HOLE) CONSTANT(SEGMENT_PROCESS) CONSTANT(SEGMENT_DOOMED) CONSTANT(SEGMENT_BITS)                   \
    CONSTANT(DICT_ADDRESS_BITS) CONSTANT(HANDLE_NUMBER_BITS) CONSTANT(HANDLE_GENERATION_BITS)                          \
    STRUCTURE(full_leaf, starts, before)                                                                               \
    STRUCTURE(region, link, memory, size, mapped, top, live, blocks, slots, slots_max, only)                           \
    STRUCTURE(pool, roomy, full, empty, cell_size)                                                                     \
    CONSTANT(POOL_CHUNK) CONSTANT(POOL_GRAIN) CONSTANT(TABLE_BITS) CONSTANT(TYPE_TABLE) CONSTANT(TYPE_LEAF)            \
    CONSTANT(FRAME_BITS) CONSTANT(GRANULE) CONSTANT(MAIN_CHAIN_START) CONSTANT(LEAF_SHORT_KINDS)                       \
    CONSTANT(LEAF_SHORT_SHARE) CONSTANT(LEAF_NO_KEY)
/* clang-format on */

LAYOUT_DEFINE(space_layout, SPACE_ROWS);
