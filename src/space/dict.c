#include "dict.h"

#include "base/fault.h"

static struct sub_node *sub_node_of_range(struct range_node *range) {
    return range != NULL ? CONTAINER_OF(range, struct sub_node, range) : NULL;
}

static void insert(struct range_tree *tree, struct range_node *range) {
    bool inserted = range_tree_insert(tree, range, range->start, range->last);
    ASSERT(inserted);
}

static void resize(struct range_tree *tree, struct range_node *range, uintptr_t last) {
    bool resized = range_tree_resize(tree, range, last);
    ASSERT(resized);
}

void dict_insert(struct main_node *main, struct sub_node *node) {
    insert(&main->processes, &node->range);
}

void dict_remove(struct main_node *main, struct sub_node *node) {
    range_tree_remove(&main->processes, &node->range);
}

void dict_resize(struct main_node *main, struct sub_node *node, uintptr_t last) {
    resize(&main->processes, &node->range, last);
}

struct sub_node *dict_search(const struct main_node *main, uintptr_t v_address) {
    return sub_node_of_range(range_tree_find(&main->processes, v_address));
}

struct sub_node *dict_search_before(const struct main_node *main, uintptr_t v_address) {
    return sub_node_of_range(range_tree_floor(&main->processes, v_address));
}

void dict_insert_main(struct range_tree *mains, struct main_node *main) {
    insert(mains, &main->range);
}

void dict_remove_main(struct range_tree *mains, struct main_node *main) {
    range_tree_remove(mains, &main->range);
}

void dict_resize_main(struct range_tree *mains, struct main_node *main, uintptr_t last) {
    resize(mains, &main->range, last);
}

struct main_node *dict_search_main(const struct range_tree *mains, uintptr_t v_address) {
    struct range_node *range = range_tree_find(mains, v_address);
    return range != NULL ? CONTAINER_OF(range, struct main_node, range) : NULL;
}
