#include "sub_chain.h"

struct sub_node *sub_chain_before(const struct sub_node *node) {
    return node->link.prev != &node->main->sub_chain ? sub_node_of(node->link.prev) : NULL;
}

struct sub_node *sub_chain_after(const struct sub_node *node) {
    return node->link.next != &node->main->sub_chain ? sub_node_of(node->link.next) : NULL;
}

/* A new HOLE after the link `at` of a main node's sub-chain. */
static struct sub_node *insert_hole(struct node_pool *pool, struct main_node *main, struct list *at, uintptr_t start,
                                    uintptr_t last) {
    struct sub_node *hole = sub_node_take(pool);
    sub_node_set_kind(hole, SEGMENT_HOLE);
    hole->range.start = start;
    hole->range.last = last;
    hole->main = main;
    list_insert_after(at, &hole->link);
    main->length++;
    return hole;
}

struct sub_node *sub_chain_begin(struct node_pool *pool, struct main_node *main) {
    return insert_hole(pool, main, &main->sub_chain, main->start, main->last);
}

struct sub_node *sub_chain_cut(struct node_pool *pool, struct sub_node *node, uintptr_t v_address) {
    struct sub_node *rest = insert_hole(pool, node->main, &node->link, v_address, node->range.last);
    node->range.last = v_address - 1;
    return rest;
}

void sub_chain_drop(struct node_pool *pool, struct sub_node *node) {
    list_remove(&node->link);
    node->main->length--;
    node_give(pool, node);
}

static bool is_hole(const struct sub_node *node) {
    return node != NULL && sub_node_kind(node) == SEGMENT_HOLE;
}

struct sub_node *merge_holes(struct node_pool *pool, struct free_list *list, struct sub_node *hole) {
    struct sub_node *before = sub_chain_before(hole);
    if (is_hole(before)) {
        free_list_remove(list, before);
        before->range.last = hole->range.last;
        sub_chain_drop(pool, hole);
        hole = before;
    }
    struct sub_node *after = sub_chain_after(hole);
    if (is_hole(after)) {
        free_list_remove(list, after);
        hole->range.last = after->range.last;
        sub_chain_drop(pool, after);
    }
    return hole;
}

void sub_chain_move(struct sub_node *node, struct main_node *to) {
    struct main_node *from = node->main;
    while (node != NULL) {
        struct sub_node *next = sub_chain_after(node);
        list_remove(&node->link);
        from->length--;
        node->main = to;
        list_push_back(&to->sub_chain, &node->link);
        to->length++;
        node = next;
    }
}
