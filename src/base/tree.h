/*
 * tree.h - balanced (AVL) search trees, whose nodes are embedded in the user's own structures.
 *
 * The tree knows no order: its user walks down from the root to where a new node belongs, and links it there, as in
 *
 *   struct tree_node *parent = NULL, **place = &tree.root;
 *   while (*place != NULL) {
 *       parent = *place;
 *       place = before(node, parent) ? &parent->left : &parent->right;
 *   }
 *   tree_link(&tree, node, parent, place);
 *
 * So each user's search is a loop of its own, without calls through pointers. A tree of n nodes is at most 1.44 log2(n)
 * levels deep. No locking: the caller's lock guards the tree.
 */
#ifndef MEMS_BASE_TREE_H
#define MEMS_BASE_TREE_H

#include <stdbool.h>
#include <stddef.h>

/* Invariants: heights of left and right differ by at most one; parent is NULL for the root alone. */
struct tree_node {
    struct tree_node *left;
    struct tree_node *right;
    struct tree_node *parent;
    int height;
    unsigned tag; /* the user's own, in what would be padding; tree_link leaves it alone */
};

/* All zero is a valid, empty tree. */
struct tree {
    struct tree_node *root;
};

/* Puts `node` at *place, which is NULL and the root or a child of `parent`. O(log n). */
void tree_link(struct tree *tree, struct tree_node *node, struct tree_node *parent, struct tree_node **place);

/* Takes out a node that is in the tree. O(log n). */
void tree_unlink(struct tree *tree, struct tree_node *node);

/* `to`, a copy of a node of the tree at another address, takes its place. */
void tree_replace(struct tree *tree, struct tree_node *node, struct tree_node *to);

/* The nodes in ascending order: the first one, and the one after `node`; NULL at the end. */
struct tree_node *tree_first(const struct tree *tree);
struct tree_node *tree_next(const struct tree_node *node);

/* What is wrong with one node and its links to its children; NULL when nothing is. */
const char *tree_flaw(const struct tree_node *node);

#endif
