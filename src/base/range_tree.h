/*
 * range_tree.h - which of many disjoint ranges holds an address: an interval tree.
 *
 * The nodes are embedded in the user's own descriptors, and the ranges never overlap, so that a balanced tree (tree.h)
 * ordered by start is an interval tree. Every operation but the walk is O(log n). No locking: the caller's lock guards
 * the tree.
 */
#ifndef MEMS_BASE_RANGE_TREE_H
#define MEMS_BASE_RANGE_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tree.h"

/* Invariant: every address in the left side's ranges < start <= last < every address in the right side's. */
struct range_node {
    struct tree_node node;
    uintptr_t start; /* first address of the range */
    uintptr_t last;  /* last address of the range, so that a range may end at the end of the address space */
};

/* All zero is a valid, empty tree. */
struct range_tree {
    struct tree tree;
    size_t count;
};

/* Adds start..last; false, and nothing changed, when it overlaps a range of the tree or last < start. */
bool range_tree_insert(struct range_tree *tree, struct range_node *range, uintptr_t start, uintptr_t last);

/* Takes out a node that is in the tree. */
void range_tree_remove(struct range_tree *tree, struct range_node *range);

/* The range that holds `address`; NULL when none does. */
struct range_node *range_tree_find(const struct range_tree *tree, uintptr_t address);

/* The range with the greatest start at or below `address`, whether it holds it or not; NULL when there is none. */
struct range_node *range_tree_floor(const struct range_tree *tree, uintptr_t address);

/* Moves the end of a range that is in the tree; false, and nothing changed, when it would overlap the next one or lie
 * before the start. */
bool range_tree_resize(struct range_tree *tree, struct range_node *range, uintptr_t last);

/* The ranges in ascending order: the first one, and the one after `range`; NULL at the end. */
struct range_node *range_tree_first(const struct range_tree *tree);
struct range_node *range_tree_next(const struct range_node *range);

/* True when all invariants hold; otherwise *why names the first that does not. O(n). */
bool range_tree_valid(const struct range_tree *tree, const char **why);

#endif
