#include "tree.h"

static int height(const struct tree_node *node) {
    return node != NULL ? node->height : 0;
}

/* The left side's height minus the right's. */
static int lean(const struct tree_node *node) {
    return height(node->left) - height(node->right);
}

static void set_height(struct tree_node *node) {
    int left = height(node->left);
    int right = height(node->right);
    node->height = (left > right ? left : right) + 1;
}

/* Replaces `old` below its parent by `new`, which may be NULL. */
static void replace(struct tree *tree, struct tree_node *old, struct tree_node *new) {
    struct tree_node *parent = old->parent;
    if (parent == NULL) {
        tree->root = new;
    } else if (parent->left == old) {
        parent->left = new;
    } else {
        parent->right = new;
    }
    if (new != NULL) {
        new->parent = parent;
    }
}

static void set_left(struct tree_node *node, struct tree_node *child) {
    node->left = child;
    if (child != NULL) {
        child->parent = node;
    }
}

static void set_right(struct tree_node *node, struct tree_node *child) {
    node->right = child;
    if (child != NULL) {
        child->parent = node;
    }
}

/* A child takes its parent's place; the parent becomes its child on the other side. */
static void lift(struct tree *tree, struct tree_node *child) {
    struct tree_node *parent = child->parent;
    replace(tree, parent, child);
    if (child == parent->left) {
        set_left(parent, child->right);
        set_right(child, parent);
    } else {
        set_right(parent, child->left);
        set_left(child, parent);
    }
    set_height(parent);
    set_height(child);
}

/* Restores heights and balance from `node` up, after its subtree's height changed by one. */
static void rebalance(struct tree *tree, struct tree_node *node) {
    while (node != NULL) {
        int before = node->height;
        set_height(node);
        if (lean(node) > 1) {
            if (lean(node->left) < 0) {
                lift(tree, node->left->right);
            }
            node = node->left;
            lift(tree, node);
        } else if (lean(node) < -1) {
            if (lean(node->right) > 0) {
                lift(tree, node->right->left);
            }
            node = node->right;
            lift(tree, node);
        }
        if (node->height == before) {
            return; /* the heights above are unchanged */
        }
        node = node->parent;
    }
}

void tree_link(struct tree *tree, struct tree_node *node, struct tree_node *parent, struct tree_node **place) {
    node->left = NULL;
    node->right = NULL;
    node->parent = parent;
    node->height = 1;
    *place = node;
    rebalance(tree, parent);
}

static struct tree_node *leftmost(struct tree_node *node) {
    while (node->left != NULL) {
        node = node->left;
    }
    return node;
}

void tree_unlink(struct tree *tree, struct tree_node *node) {
    struct tree_node *lowest; /* the lowest node whose subtree may have become lower */
    if (node->left == NULL || node->right == NULL) {
        lowest = node->parent;
        replace(tree, node, node->left != NULL ? node->left : node->right);
    } else {
        /* The next node in order has no left child and takes the removed node's place. */
        struct tree_node *heir = leftmost(node->right);
        lowest = heir->parent;
        if (lowest == node) {
            lowest = heir;
        } else {
            set_left(lowest, heir->right);
            set_right(heir, node->right);
        }
        replace(tree, node, heir);
        set_left(heir, node->left);
        heir->height = node->height;
    }
    rebalance(tree, lowest);
}

void tree_replace(struct tree *tree, struct tree_node *node, struct tree_node *to) {
    replace(tree, node, to);
    set_left(to, to->left);
    set_right(to, to->right);
}

struct tree_node *tree_first(const struct tree *tree) {
    return tree->root != NULL ? leftmost(tree->root) : NULL;
}

struct tree_node *tree_next(const struct tree_node *node) {
    if (node->right != NULL) {
        return leftmost(node->right);
    }
    while (node->parent != NULL && node->parent->right == node) {
        node = node->parent;
    }
    return node->parent;
}

const char *tree_flaw(const struct tree_node *node) {
    if ((node->left != NULL && node->left->parent != node) || (node->right != NULL && node->right->parent != node)) {
        return "tree: a child has another parent";
    }
    int left = height(node->left);
    int right = height(node->right);
    if (node->height != (left > right ? left : right) + 1) {
        return "tree: a height is wrong";
    }
    if (left - right > 1 || right - left > 1) {
        return "tree: a node is out of balance";
    }
    return NULL;
}
