/*
 * tree.h - balanced (AVL) search trees with nodes embedded in the user's structures.
 *
 * Its user knows the order: it walks down from the root to where a new node belongs, and links it there:
 *
 *   struct tree_node *parent = NULL, **place = &tree.root;
 *   while (*place != NULL) {
 *       parent = *place;
 *       place = before(node, parent) ? &parent->left : &parent->right;
 *   }
 *   tree_link(&tree, node, parent, place);
 *
 * So each search is a loop without calls through pointers. n nodes have at most 1.44 log2(n) levels.
 */
#pragma once

#include <stddef.h>

/* Invariants: the heights of left and right differ by at most one; parent is NULL only for the root. */
struct tree_node {
    struct tree_node *left;
    struct tree_node *right;
    struct tree_node *parent;
    int height;
    unsigned tag; /* for the user, in what would be padding; tree_link leaves it alone */
};

/* All zero is a valid, empty tree. */
struct tree {
    struct tree_node *root;
};

/* Puts `node` at *place, which is NULL and is the root or a child link of `parent`. O(log n). */
void tree_link(struct tree *tree, struct tree_node *node, struct tree_node *parent, struct tree_node **place);

/* O(log n). */
void tree_unlink(struct tree *tree, struct tree_node *node);

/* Replaces a node by `to`, its copy at another address. */
void tree_replace(struct tree *tree, struct tree_node *node, struct tree_node *to);

/* The nodes in ascending order: the first, and the one after `node`; NULL at the end. */
struct tree_node *tree_first(const struct tree *tree);
struct tree_node *tree_next(const struct tree_node *node);

/* What is wrong with a node and its links to its children, or NULL. */
const char *tree_flaw(const struct tree_node *node);
