/* range_tree.h - finds which of many disjoint ranges holds an address. Nodes are embedded in the user's descriptors and
 * ordered by start, in a balanced tree (tree.h). All operations but the walk are O(log n). The caller locks. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tree.h"

/* Invariant: addresses in the left subtree < start <= last < addresses in the right subtree. */
struct range_node {
    struct tree_node node;
    uintptr_t start; /* first address */
    uintptr_t last;  /* inclusive: a range may end at the end of the address space */
};

/* All zero is a valid, empty tree. */
struct range_tree {
    struct tree tree;
    size_t count;
};

/* False, with nothing changed, if start..last overlaps a range or last < start. */
bool range_tree_insert(struct range_tree *tree, struct range_node *range, uintptr_t start, uintptr_t last);

void range_tree_remove(struct range_tree *tree, struct range_node *range);

/* The range that holds `address`, or NULL. */
struct range_node *range_tree_find(const struct range_tree *tree, uintptr_t address);

/* The range with the greatest start at or below `address`, even if it ends before it; or NULL. */
struct range_node *range_tree_floor(const struct range_tree *tree, uintptr_t address);

/* Moves the end; false, with nothing changed, if it would overlap the next range or precede the start. */
bool range_tree_resize(struct range_tree *tree, struct range_node *range, uintptr_t last);

/* In ascending order; NULL at the end. */
struct range_node *range_tree_first(const struct range_tree *tree);
struct range_node *range_tree_next(const struct range_node *range);

/* O(n). */
bool range_tree_valid(const struct range_tree *tree, const char **why);
