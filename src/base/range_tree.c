#include "range_tree.h"

static int height(const struct range_node *node) {
    return node != NULL ? node->height : 0;
}

/* How much higher the left side is than the right one. */
static int lean(const struct range_node *node) {
    return height(node->left) - height(node->right);
}

static void set_height(struct range_node *node) {
    int left = height(node->left);
    int right = height(node->right);
    node->height = (left > right ? left : right) + 1;
}

/* Puts `new`, which may be NULL, in the place that `old` has below its parent. */
static void replace(struct range_tree *tree, struct range_node *old, struct range_node *new) {
    struct range_node *parent = old->parent;
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

static void set_left(struct range_node *node, struct range_node *child) {
    node->left = child;
    if (child != NULL) {
        child->parent = node;
    }
}

static void set_right(struct range_node *node, struct range_node *child) {
    node->right = child;
    if (child != NULL) {
        child->parent = node;
    }
}

/* Lifts the left child into the node's place; the node becomes its right child. Returns what is on top afterwards. */
static struct range_node *rotate_right_at(struct range_tree *tree, struct range_node *node) {
    struct range_node *top = node->left;
    replace(tree, node, top);
    set_left(node, top->right);
    set_right(top, node);
    set_height(node);
    set_height(top);
    return top;
}

static struct range_node *rotate_left_at(struct range_tree *tree, struct range_node *node) {
    struct range_node *top = node->right;
    replace(tree, node, top);
    set_right(node, top->left);
    set_left(top, node);
    set_height(node);
    set_height(top);
    return top;
}

/* Restores heights and balance from `node` up to the root, after a change of one level below it. */
static void rebalance(struct range_tree *tree, struct range_node *node) {
    while (node != NULL) {
        int before = node->height;
        set_height(node);
        if (lean(node) > 1) {
            if (lean(node->left) < 0) {
                rotate_left_at(tree, node->left);
            }
            node = rotate_right_at(tree, node);
        } else if (lean(node) < -1) {
            if (lean(node->right) > 0) {
                rotate_right_at(tree, node->right);
            }
            node = rotate_left_at(tree, node);
        }
        if (node->height == before) {
            return; /* nothing above can tell the difference */
        }
        node = node->parent;
    }
}

bool range_tree_insert(struct range_tree *tree, struct range_node *node, uintptr_t start, uintptr_t last) {
    if (last < start) {
        return false;
    }
    struct range_node *parent = NULL;
    struct range_node **place = &tree->root;
    while (*place != NULL) {
        parent = *place;
        if (last < parent->start) {
            place = &parent->left;
        } else if (start > parent->last) {
            place = &parent->right;
        } else {
            return false;
        }
    }
    *node = (struct range_node){.parent = parent, .start = start, .last = last, .height = 1};
    *place = node;
    tree->count++;
    rebalance(tree, parent);
    return true;
}

static struct range_node *leftmost(struct range_node *node) {
    while (node->left != NULL) {
        node = node->left;
    }
    return node;
}

void range_tree_remove(struct range_tree *tree, struct range_node *node) {
    struct range_node *lowest; /* the lowest node below which a level may have gone */
    if (node->left == NULL || node->right == NULL) {
        lowest = node->parent;
        replace(tree, node, node->left != NULL ? node->left : node->right);
    } else {
        /* The next range in order has no left child: it leaves its place and takes over the node's. */
        struct range_node *heir = leftmost(node->right);
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
    tree->count--;
    rebalance(tree, lowest);
}

struct range_node *range_tree_find(const struct range_tree *tree, uintptr_t address) {
    struct range_node *node = tree->root;
    while (node != NULL) {
        if (address < node->start) {
            node = node->left;
        } else if (address > node->last) {
            node = node->right;
        } else {
            return node;
        }
    }
    return NULL;
}

bool range_tree_resize(struct range_tree *tree, struct range_node *node, uintptr_t last) {
    (void)tree; /* the order of the ranges stays, and with it the tree's shape */
    const struct range_node *next = range_tree_next(node);
    if (last < node->start || (next != NULL && last >= next->start)) {
        return false;
    }
    node->last = last;
    return true;
}

struct range_node *range_tree_first(const struct range_tree *tree) {
    return tree->root != NULL ? leftmost(tree->root) : NULL;
}

struct range_node *range_tree_next(const struct range_node *node) {
    if (node->right != NULL) {
        return leftmost(node->right);
    }
    while (node->parent != NULL && node->parent->right == node) {
        node = node->parent;
    }
    return node->parent;
}

/* What is wrong with one node and its links to its children; NULL when nothing is. */
static const char *node_flaw(const struct range_node *node) {
    if (node->last < node->start) {
        return "range tree: a range ends before it starts";
    }
    if ((node->left != NULL && node->left->parent != node) || (node->right != NULL && node->right->parent != node)) {
        return "range tree: a child does not know its parent";
    }
    int left = height(node->left);
    int right = height(node->right);
    if (node->height != (left > right ? left : right) + 1) {
        return "range tree: a height is wrong";
    }
    if (left - right > 1 || right - left > 1) {
        return "range tree: a node is out of balance";
    }
    return NULL;
}

bool range_tree_valid(const struct range_tree *tree, const char **why) {
    if (tree->root != NULL && tree->root->parent != NULL) {
        *why = "range tree: the root has a parent";
        return false;
    }
    size_t count = 0;
    const struct range_node *before = NULL;
    for (const struct range_node *node = range_tree_first(tree); node != NULL; node = range_tree_next(node)) {
        const char *flaw = node_flaw(node);
        if (flaw == NULL && before != NULL && before->last >= node->start) {
            flaw = "range tree: two ranges overlap or are out of order";
        }
        if (flaw == NULL && ++count > tree->count) {
            flaw = "range tree: more nodes than are counted";
        }
        if (flaw != NULL) {
            *why = flaw;
            return false;
        }
        before = node;
    }
    if (count != tree->count) {
        *why = "range tree: fewer nodes than are counted";
        return false;
    }
    return true;
}
