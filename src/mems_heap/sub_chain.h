/* sub_chain.h - the segments of a main node: cut and merged. */
#pragma once

#include "hole_list.h"
#include "node.h"

/* The first segment of a main node; the one after a segment, or NULL. */
struct sub_node *sub_chain_first(const struct main_node *main);
struct sub_node *sub_chain_after(const struct sub_node *node);

/* Where the bytes of a HOLE are, whose main node has memory: behind those of the segment before it. */
char *sub_chain_physical(const struct sub_node *hole);

/* Makes a HOLE that covers a new main node, not in the free list. Takes a cell. */
struct sub_node *sub_chain_begin(struct nodes *nodes, struct main_node *main, uint32_t generation);

/* Appends a HOLE behind a segment, up to `last`, not in the free list. Takes a cell. */
struct sub_node *sub_chain_append(struct nodes *nodes, struct sub_node *node, uintptr_t last, uint32_t generation);

/* Cuts a segment that is not in the free list, so that it ends before v_address. Returns the rest as a HOLE that is
 * not in the free list, with the segment's generation. Takes a cell. */
struct sub_node *sub_chain_cut(struct nodes *nodes, struct sub_node *node, uintptr_t v_address);

/* Merges a HOLE with adjacent HOLEs, which are in `list`. Neither it nor the result is in the free list. */
struct sub_node *merge_holes(struct nodes *nodes, struct hole_list *list, struct sub_node *hole);

/* Removes a HOLE that is not in the free list from its sub-chain, and gives back its cell. */
void sub_chain_drop(struct nodes *nodes, struct sub_node *hole);

/* Makes a cell the same segment, in the place of `from` in its sub-chain, but not yet in an index. */
void sub_chain_replace(const struct sub_node *from, struct sub_node *to);

/* Moves all segments of a main node to the end of another. */
void sub_chain_append_all(struct main_node *to, struct main_node *from);

/* Moves a segment and all behind it to another main node, which is empty. Constant time. */
void sub_chain_split(struct main_node *from, struct sub_node *node, struct main_node *to);
