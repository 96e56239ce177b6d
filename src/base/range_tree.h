/* range_tree.h - finds which of many disjoint ranges holds an address. The nodes are embedded in the user's
 * descriptors, and ordered by start, which for disjoint ranges makes a balanced tree (tree.h) an interval tree. Every
 * operation but the walk is O(log n). The caller locks. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tree.h"

/* Invariant: all addresses in the left subtree < start <= last < all addresses in the right subtree. */
struct range_node {
    struct tree_node node;
    uintptr_t start; /* first address */
    uintptr_t last;  /* last address, inclusive: a range may end at the end of the address space */
};

/* All zero is a valid, empty tree. */
struct range_tree {
    struct tree tree;
    size_t count;
};

/* Adds start..last; false, and nothing changed, if it overlaps a range of the tree or last < start. */
bool range_tree_insert(struct range_tree *tree, struct range_node *range, uintptr_t start, uintptr_t last);

void range_tree_remove(struct range_tree *tree, struct range_node *range);

/* The range that holds `address`, or NULL. */
struct range_node *range_tree_find(const struct range_tree *tree, uintptr_t address);

/* The range with the greatest start at or below `address`, whether it holds the address or not, or NULL. */
struct range_node *range_tree_floor(const struct range_tree *tree, uintptr_t address);

/* Moves the end of a range; false, and nothing changed, if it would overlap the next one or precede the start. */
bool range_tree_resize(struct range_tree *tree, struct range_node *range, uintptr_t last);

/* The ranges in ascending order: the first, and the one after `range`; NULL at the end. */
struct range_node *range_tree_first(const struct range_tree *tree);
struct range_node *range_tree_next(const struct range_node *range);

/* O(n). */
bool range_tree_valid(const struct range_tree *tree, const char **why);
