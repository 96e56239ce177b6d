/*
 * sub_chain.h - the segments of a main node: cut in two, merged.
 */
#ifndef MEMS_SPACE_SUB_CHAIN_H
#define MEMS_SPACE_SUB_CHAIN_H

#include "free_list.h"
#include "node.h"

/* A segment and the main node that it lies in. */
struct place {
    struct main_node *main;
    struct sub_node *node;
};

/* The first segment, and the one after `node`; NULL at the end. */
struct sub_node *sub_chain_first(const struct main_node *main);
struct sub_node *sub_chain_after(const struct main_node *main, const struct sub_node *node);

/* The only segment of a new main node: a HOLE as long as it, not in the free list. Takes a cell. */
struct sub_node *sub_chain_begin(struct nodes *nodes, struct main_node *main);

/* Cuts a segment, which is not in the free list, so that it ends before v_address. The rest is a HOLE of its own, not
 * in the free list, and returned. Takes a cell. */
struct sub_node *sub_chain_cut(struct nodes *nodes, struct main_node *main, struct sub_node *node, uintptr_t v_address);

/* Merges a HOLE that is not in the free list with the HOLEs beside it, which are in `list`. Returns the HOLE that is
 * left, not in the free list. */
struct sub_node *merge_holes(struct nodes *nodes, struct free_list *list, struct main_node *main,
                             struct sub_node *hole);

/* Takes a HOLE that is not in the free list out of its sub-chain and gives its cell back. */
void sub_chain_drop(struct nodes *nodes, struct main_node *main, struct sub_node *hole);

/* Moves `node` (NULL: nothing) and all segments after it to the end of another main node's sub-chain. */
void sub_chain_move(struct main_node *from, struct sub_node *node, struct main_node *to);

#endif
