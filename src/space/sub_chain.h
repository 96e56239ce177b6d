/*
 * sub_chain.h - the segments of a main node: cut in two, merged.
 */
#ifndef MEMS_SPACE_SUB_CHAIN_H
#define MEMS_SPACE_SUB_CHAIN_H

#include "free_list.h"
#include "node.h"

/* The first segment of a main node; those before and after one; NULL at the ends. */
struct sub_node *sub_chain_first(const struct main_node *main);
struct sub_node *sub_chain_before(const struct sub_node *node);
struct sub_node *sub_chain_after(const struct sub_node *node);

/* Where the bytes of a HOLE are whose main node has memory: behind those of the segment before it, which is none. */
char *sub_chain_physical(const struct sub_node *hole);

/* The only segment of a new main node: a HOLE as long as it, not in the free list. Takes a cell. */
struct sub_node *sub_chain_begin(struct nodes *nodes, struct main_node *main, uint32_t generation);

/* A HOLE behind a segment, up to `last`, not in the free list. Takes a cell. */
struct sub_node *sub_chain_append(struct nodes *nodes, struct sub_node *node, uintptr_t last, uint32_t generation);

/* Cuts a segment, which is not in the free list, so that it ends before v_address. The rest is a HOLE of its own, not
 * in the free list, and returned; its generation is the segment's. Takes a cell. */
struct sub_node *sub_chain_cut(struct nodes *nodes, struct sub_node *node, uintptr_t v_address);

/* Merges a HOLE that is not in the free list with the HOLEs beside it, which are in `list`. Returns the HOLE that is
 * left, not in the free list. */
struct sub_node *merge_holes(struct nodes *nodes, struct free_list *list, struct sub_node *hole);

/* Takes a HOLE that is not in the free list out of its sub-chain and gives its cell back. */
void sub_chain_drop(struct nodes *nodes, struct sub_node *hole);

/* A cell becomes the same segment, in the place of `from` in its sub-chain; not yet in an index. */
void sub_chain_replace(const struct sub_node *from, struct sub_node *to);

/* Moves all segments of a main node to the end of another's. */
void sub_chain_append_all(struct main_node *to, struct main_node *from);

/* Moves a segment and all behind it to another main node, which has none. Constant time. */
void sub_chain_split(struct main_node *from, struct sub_node *node, struct main_node *to);

#endif
