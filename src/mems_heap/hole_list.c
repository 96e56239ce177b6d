#include "hole_list.h"

#include "base/broken.h"

static struct sub_node *hole_of(const struct tree_node *node) {
    return node != NULL ? CONTAINER_OF(node, struct sub_node, tree) : NULL;
}

static bool comes_before(const struct sub_node *a, const struct sub_node *b) {
    size_t a_size = sub_node_size(a);
    size_t b_size = sub_node_size(b);
    return a_size != b_size ? a_size > b_size : a->start > b->start;
}

void hole_list_insert(struct hole_list *list, struct sub_node *hole) {
    struct tree_node *parent = NULL;
    struct tree_node **link = &list->tree.root;
    while (*link != NULL) {
        parent = *link;
        link = comes_before(hole, hole_of(parent)) ? &parent->left : &parent->right;
    }
    tree_link(&list->tree, &hole->tree, parent, link);
}

void hole_list_remove(struct hole_list *list, struct sub_node *hole) {
    tree_unlink(&list->tree, &hole->tree);
}

void hole_list_replace(struct hole_list *list, struct sub_node *hole, struct sub_node *to) {
    tree_replace(&list->tree, &hole->tree, &to->tree);
}

struct sub_node *search_free_list(const struct hole_list *list, size_t size) {
    struct sub_node *found = NULL;
    for (const struct tree_node *node = list->tree.root; node != NULL;) {
        struct sub_node *hole = hole_of(node);
        bool fits = sub_node_size(hole) >= size;
        found = fits ? hole : found;
        node = fits ? node->right : node->left;
    }
    return found;
}

size_t hole_list_each(struct hole_list *list, size_t size, size_t (*act)(struct sub_node *hole, void *context),
                      void *context) {
    size_t sum = 0;
    struct sub_node *next;
    for (struct sub_node *hole = hole_of(tree_first(&list->tree)); hole != NULL && sub_node_size(hole) >= size;
         hole = next) {
        next = hole_of(tree_next(&hole->tree));
        sum += act(hole, context);
    }
    return sum;
}

bool hole_list_valid(const struct hole_list *list, size_t *count, const char **why) {
    const struct sub_node *before = NULL;
    *count = 0;
    for (const struct tree_node *node = tree_first(&list->tree); node != NULL; node = tree_next(node)) {
        const struct sub_node *hole = hole_of(node);
        const char *flaw = tree_flaw(node);
        if (flaw == NULL && before != NULL && !comes_before(before, hole)) {
            flaw = "free list: two HOLEs are out of order";
        }
        if (flaw != NULL) {
            return broken(why, flaw);
        }
        before = hole;
        ++*count;
    }
    return true;
}
