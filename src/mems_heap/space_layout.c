/*
 * space_layout.c - the rows of all structures that can be reached from the root of all spaces.
 */
#include "spaces.h"

#define SPACE_ROWS(STRUCTURE, MEMBER, CONSTANT) \
    STRUCTURE(space_root)                       \
    MEMBER(space_root, first)                   \
    MEMBER(space_root, lock.state)              \
    MEMBER(space_root, spaces)                  \
    STRUCTURE(list)                             \
    MEMBER(list, next)                          \
    STRUCTURE(mems_space)                       \
    MEMBER(mems_space, link)                    \
    MEMBER(mems_space, lock.state)              \
    MEMBER(mems_space, state)                   \
    MEMBER(mems_space, movable)                 \
    MEMBER(mems_space, number)                  \
    MEMBER(mems_space, page_size)               \
    MEMBER(mems_space, chain.list)              \
    MEMBER(mems_space, chain.dict.count)        \
    MEMBER(mems_space, chain.mapped_bytes)      \
    MEMBER(mems_space, nodes.main)              \
    MEMBER(mems_space, nodes.sub)               \
    MEMBER(mems_space, dict.tables)             \
    MEMBER(mems_space, dict.leaves)             \
    MEMBER(mems_space, dict.count)              \
    MEMBER(mems_space, dict.root)               \
    MEMBER(mems_space, dict.height)             \
    MEMBER(mems_space, store.regions)           \
    MEMBER(mems_space, store.spare)             \
    MEMBER(mems_space, store.next)              \
    MEMBER(mems_space, store.pool)              \
    MEMBER(mems_space, processes)               \
    MEMBER(mems_space, process_bytes)           \
    MEMBER(mems_space, failures)                \
    CONSTANT(SPACE_READY)                       \
    STRUCTURE(main_node)                        \
    MEMBER(main_node, link)                     \
    MEMBER(main_node, range.start)              \
    MEMBER(main_node, range.last)               \
    MEMBER(main_node, sub_chain)                \
    MEMBER(main_node, memory.start)             \
    STRUCTURE(sub_node)                         \
    MEMBER(sub_node, link)                      \
    MEMBER(sub_node, start)                     \
    MEMBER(sub_node, last)                      \
    MEMBER(sub_node, physical)                  \
    MEMBER(sub_node, region)                    \
    MEMBER(sub_node, slot)                      \
    MEMBER(sub_node, tag)                       \
    CONSTANT(SEGMENT_HOLE)                      \
    CONSTANT(SEGMENT_PROCESS)                   \
    CONSTANT(SEGMENT_DOOMED)                    \
    CONSTANT(SEGMENT_BITS)                      \
    CONSTANT(DICT_ADDRESS_BITS)                 \
    CONSTANT(HANDLE_NUMBER_BITS)                \
    CONSTANT(HANDLE_GENERATION_BITS)            \
    STRUCTURE(quarter)                          \
    MEMBER(quarter, starts)                     \
    MEMBER(quarter, first)                      \
    STRUCTURE(region)                           \
    MEMBER(region, link)                        \
    MEMBER(region, memory)                      \
    MEMBER(region, size)                        \
    MEMBER(region, mapped)                      \
    MEMBER(region, top)                         \
    MEMBER(region, live)                        \
    MEMBER(region, blocks)                      \
    MEMBER(region, slots)                       \
    MEMBER(region, slots_max)                   \
    MEMBER(region, only)                        \
    STRUCTURE(pool)                             \
    MEMBER(pool, roomy)                         \
    MEMBER(pool, full)                          \
    MEMBER(pool, empty)                         \
    MEMBER(pool, cell_size)                     \
    MEMBER(pool, used)                          \
    CONSTANT(POOL_CHUNK)                        \
    CONSTANT(POOL_GRAIN)                        \
    CONSTANT(TABLE_BITS)                        \
    CONSTANT(TYPE_TABLE)                        \
    CONSTANT(TYPE_LEAF)                         \
    CONSTANT(FRAME_BITS)                        \
    CONSTANT(GRANULE)                           \
    CONSTANT(MAIN_CHAIN_START)                  \
    CONSTANT(LEAF_SHORT_KINDS)                  \
    CONSTANT(LEAF_SHORT_SHARE)                  \
    CONSTANT(LEAF_NO_KEY)                       \
    CONSTANT(QUARTERS)

LAYOUT_DEFINE(space_layout, SPACE_ROWS);
