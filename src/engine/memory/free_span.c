#include "free_span.h"

#include "base/broken.h"

static struct free_span *free_span_of(const struct tree_node *node) {
    return CONTAINER_OF(node, struct free_span, node);
}

static bool comes_before(const struct free_span *a, const struct free_span *b) {
    return a->span.units != b->span.units ? a->span.units < b->span.units : a->span.first < b->span.first;
}

void free_span_insert(struct free_span_index *index, struct free_span *free) {
    struct tree_node *parent = NULL;
    struct tree_node **place = &index->tree.root;
    while (*place != NULL) {
        parent = *place;
        place = comes_before(free, free_span_of(parent)) ? &parent->left : &parent->right;
    }
    tree_link(&index->tree, &free->node, parent, place);
}

void free_span_remove(struct free_span_index *index, struct free_span *free) {
    tree_unlink(&index->tree, &free->node);
}

struct free_span *free_span_find(const struct free_span_index *index, size_t units) {
    struct free_span *found = NULL;
    for (const struct tree_node *node = index->tree.root; node != NULL;) {
        struct free_span *free = free_span_of(node);
        bool fits = free->span.units >= units;
        found = fits ? free : found;
        node = fits ? node->left : node->right;
    }
    return found;
}

bool free_span_index_valid(const struct free_span_index *index, const char **why) {
    const struct free_span *before = NULL;
    for (const struct tree_node *node = tree_first(&index->tree); node != NULL; node = tree_next(node)) {
        const char *flaw = tree_flaw(node);
        if (flaw == NULL && before != NULL && !comes_before(before, free_span_of(node))) {
            flaw = "two free spans are out of order";
        }
        if (flaw != NULL) {
            return broken(why, flaw);
        }
        before = free_span_of(node);
    }
    return true;
}
