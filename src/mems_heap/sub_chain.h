/* sub_chain.h - the segments of a main node: cuts them, and merges free ones. */
#pragma once

#include "hole_list.h"
#include "node.h"

/* NULL at the end. */
struct sub_node *sub_chain_first(const struct main_node *main);
struct sub_node *sub_chain_after(const struct sub_node *node);

/* Of a HOLE whose main node has memory: behind the segment before it. */
char *sub_chain_physical(const struct sub_node *hole);

/* A HOLE that covers a new main node, not in the free list. Takes a cell. */
struct sub_node *sub_chain_begin(struct nodes *nodes, struct main_node *main, uint32_t generation);

/* A HOLE behind a segment, up to `last`, not in the free list. Takes a cell. */
struct sub_node *sub_chain_append(struct nodes *nodes, struct sub_node *node, uintptr_t last, uint32_t generation);

/* Cuts a segment, not in the free list, to end before v_address. Returns the rest as a HOLE, not in the free list, with
 * the segment's generation. Takes a cell. */
struct sub_node *sub_chain_cut(struct nodes *nodes, struct sub_node *node, uintptr_t v_address);

/* Merges a HOLE with adjacent ones, which are in `list`. Neither it nor the result is in the free list. */
struct sub_node *merge_holes(struct nodes *nodes, struct hole_list *list, struct sub_node *hole);

/* Gives back the cell of a HOLE that is not in the free list. */
void sub_chain_drop(struct nodes *nodes, struct sub_node *hole);

/* Makes a cell the same segment, in place of `from` in its sub-chain, but not yet in an index. */
void sub_chain_replace(const struct sub_node *from, struct sub_node *to);

/* Moves all segments to the end of another main node. */
void sub_chain_append_all(struct main_node *to, struct main_node *from);

/* Moves a segment and all behind it to an empty main node. Constant time. */
void sub_chain_split(struct main_node *from, struct sub_node *node, struct main_node *to);
