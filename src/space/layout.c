/*
 * layout.c - the rows of everything that is reached from the root of all spaces, for readers from outside.
 */
#include "registry.h"

struct layout_row space_layout[] = {
    LAYOUT_SIZE(space_root),
    LAYOUT_MEMBER(space_root, first),
    LAYOUT_MEMBER(space_root, lock.state),
    LAYOUT_MEMBER(space_root, spaces),
    LAYOUT_SIZE(list),
    LAYOUT_MEMBER(list, next),

    LAYOUT_SIZE(mems_space),
    LAYOUT_MEMBER(mems_space, link),
    LAYOUT_MEMBER(mems_space, lock.state),
    LAYOUT_MEMBER(mems_space, state),
    LAYOUT_MEMBER(mems_space, page_size),
    LAYOUT_MEMBER(mems_space, chain.list),
    LAYOUT_MEMBER(mems_space, chain.dict.count),
    LAYOUT_MEMBER(mems_space, chain.mapped_bytes),
    LAYOUT_MEMBER(mems_space, nodes.main),
    LAYOUT_MEMBER(mems_space, nodes.sub),
    LAYOUT_MEMBER(mems_space, processes),
    LAYOUT_MEMBER(mems_space, process_bytes),
    LAYOUT_MEMBER(mems_space, failures),
    LAYOUT_CONSTANT(SPACE_READY),

    LAYOUT_SIZE(main_node),
    LAYOUT_MEMBER(main_node, link),
    LAYOUT_MEMBER(main_node, range.start),
    LAYOUT_MEMBER(main_node, range.last),
    LAYOUT_MEMBER(main_node, sub_chain),
    LAYOUT_MEMBER(main_node, memory),
    LAYOUT_MEMBER(main_node, length),
    LAYOUT_SIZE(sub_node),
    LAYOUT_MEMBER(sub_node, link),
    LAYOUT_MEMBER(sub_node, range.start),
    LAYOUT_MEMBER(sub_node, range.last),
    LAYOUT_MEMBER(sub_node, range.node.tag),
    LAYOUT_CONSTANT(SEGMENT_PROCESS),
    LAYOUT_CONSTANT(SEGMENT_HOLE),

    LAYOUT_SIZE(node_pool),
    LAYOUT_MEMBER(node_pool, roomy),
    LAYOUT_MEMBER(node_pool, full),
    LAYOUT_MEMBER(node_pool, chunk_size),
    LAYOUT_MEMBER(node_pool, chunks),
    {.name = ""},
};
