#include "range_tree.h"

#include "broken.h"

_Static_assert(offsetof(struct range_node, node) == 0, "a tree node and its range have one address");

static struct range_node *range_of(const struct tree_node *node) {
    return (struct range_node *)(uintptr_t)node;
}

bool range_tree_insert(struct range_tree *tree, struct range_node *range, uintptr_t start, uintptr_t last) {
    if (last < start) {
        return false;
    }
    struct tree_node *parent = NULL;
    struct tree_node **place = &tree->tree.root;
    while (*place != NULL) {
        parent = *place;
        if (last < range_of(parent)->start) {
            place = &parent->left;
        } else if (start > range_of(parent)->last) {
            place = &parent->right;
        } else {
            return false;
        }
    }
    range->start = start;
    range->last = last;
    tree_link(&tree->tree, &range->node, parent, place);
    tree->count++;
    return true;
}

void range_tree_remove(struct range_tree *tree, struct range_node *range) {
    tree_unlink(&tree->tree, &range->node);
    tree->count--;
}

struct range_node *range_tree_floor(const struct range_tree *tree, uintptr_t address) {
    struct range_node *floor = NULL;
    struct range_node *range = range_of(tree->tree.root);
    while (range != NULL) {
        if (address < range->start) {
            range = range_of(range->node.left);
        } else {
            floor = range;
            range = range_of(range->node.right);
        }
    }
    return floor;
}

struct range_node *range_tree_find(const struct range_tree *tree, uintptr_t address) {
    struct range_node *floor = range_tree_floor(tree, address);
    return floor != NULL && address <= floor->last ? floor : NULL;
}

bool range_tree_resize(struct range_tree *tree, struct range_node *range, uintptr_t last) {
    (void)tree; /* the order, and so the tree's shape, does not change */
    const struct range_node *next = range_tree_next(range);
    if (last < range->start || (next != NULL && last >= next->start)) {
        return false;
    }
    range->last = last;
    return true;
}

struct range_node *range_tree_first(const struct range_tree *tree) {
    return range_of(tree_first(&tree->tree));
}

struct range_node *range_tree_next(const struct range_node *range) {
    return range_of(tree_next(&range->node));
}

bool range_tree_valid(const struct range_tree *tree, const char **why) {
    if (tree->tree.root != NULL && tree->tree.root->parent != NULL) {
        return broken(why, "range tree: the root has a parent");
    }
    size_t count = 0;
    const struct range_node *before = NULL;
    for (const struct range_node *range = range_tree_first(tree); range != NULL; range = range_tree_next(range)) {
        const char *flaw = tree_flaw(&range->node);
        if (flaw == NULL && range->last < range->start) {
            flaw = "range tree: a range ends before it starts";
        }
        if (flaw == NULL && before != NULL && before->last >= range->start) {
            flaw = "range tree: two ranges overlap or are out of order";
        }
        if (flaw == NULL && ++count > tree->count) {
            flaw = "range tree: more nodes than its count";
        }
        if (flaw != NULL) {
            return broken(why, flaw);
        }
        before = range;
    }
    return count == tree->count || broken(why, "range tree: fewer nodes than its count");
}
