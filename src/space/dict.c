#include "dict.h"

#include "base/fault.h"

static struct sub_node *node_of(struct range_node *range) {
    return range != NULL ? CONTAINER_OF(range, struct sub_node, range) : NULL;
}

void dict_insert(struct dict *dict, struct sub_node *node) {
    bool inserted = range_tree_insert(&dict->tree, &node->range, node->range.start, node->range.last);
    ASSERT(inserted);
    (void)inserted;
}

void dict_remove(struct dict *dict, struct sub_node *node) {
    range_tree_remove(&dict->tree, &node->range);
}

void dict_resize(struct dict *dict, struct sub_node *node, uintptr_t last) {
    bool resized = range_tree_resize(&dict->tree, &node->range, last);
    ASSERT(resized);
    (void)resized;
}

struct sub_node *dict_search(const struct dict *dict, uintptr_t v_address) {
    return node_of(range_tree_find(&dict->tree, v_address));
}

struct sub_node *dict_search_before(const struct dict *dict, uintptr_t v_address) {
    return node_of(range_tree_floor(&dict->tree, v_address));
}
