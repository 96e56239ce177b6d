/*
 * tree.h - balanced (AVL) trees with nodes embedded in the user's structures.
 *
 * The user knows the order, walks down to where a new node belongs, and links it there, so each search is a loop
 * without calls through pointers:
 *
 *   struct tree_node *parent = NULL, **place = &tree.root;
 *   while (*place != NULL) {
 *       parent = *place;
 *       place = before(node, parent) ? &parent->left : &parent->right;
 *   }
 *   tree_link(&tree, node, parent, place);
 *
 * n nodes have at most 1.44 log2(n) levels.
 */
#pragma once

#include <stddef.h>

/* Invariants: the heights of left and right differ by at most one; parent is NULL only for the root. */
struct tree_node {
    struct tree_node *left;
    struct tree_node *right;
    struct tree_node *parent;
    int height;
    unsigned tag; /* the user's, in what would be padding */
};

/* All zero is a valid, empty tree. */
struct tree {
    struct tree_node *root;
};

/* *place is NULL: the root, or a child link of `parent`. O(log n). */
void tree_link(struct tree *tree, struct tree_node *node, struct tree_node *parent, struct tree_node **place);

/* O(log n). */
void tree_unlink(struct tree *tree, struct tree_node *node);

/* `to` is a copy of the node at another address. */
void tree_replace(struct tree *tree, struct tree_node *node, struct tree_node *to);

/* In ascending order; NULL at the end. */
struct tree_node *tree_first(const struct tree *tree);
struct tree_node *tree_next(const struct tree_node *node);

/* What is wrong with a node and its links to its children, or NULL. */
const char *tree_flaw(const struct tree_node *node);
