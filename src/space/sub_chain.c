#include "sub_chain.h"

#include "dict.h"

struct sub_node *sub_chain_first(const struct main_node *main) {
    return sub_node_of(main->sub_chain.next);
}

/* The segment before `node`; NULL at the start. */
static struct sub_node *before_of(const struct main_node *main, const struct sub_node *node) {
    return node->link.prev != &main->sub_chain ? sub_node_of(node->link.prev) : NULL;
}

struct sub_node *sub_chain_after(const struct main_node *main, const struct sub_node *node) {
    return node->link.next != &main->sub_chain ? sub_node_of(node->link.next) : NULL;
}

/* A new HOLE after the link `at` of a main node's sub-chain. */
static struct sub_node *insert_hole(struct nodes *nodes, struct main_node *main, struct list *at, uintptr_t start,
                                    uintptr_t last) {
    struct sub_node *hole = node_take(&nodes->sub);
    sub_node_set_kind(hole, SEGMENT_HOLE);
    hole->range.start = start;
    hole->range.last = last;
    list_insert_after(at, &hole->link);
    main->length++;
    return hole;
}

struct sub_node *sub_chain_begin(struct nodes *nodes, struct main_node *main) {
    return insert_hole(nodes, main, &main->sub_chain, main->range.start, main->range.last);
}

struct sub_node *sub_chain_cut(struct nodes *nodes, struct main_node *main, struct sub_node *node,
                               uintptr_t v_address) {
    struct sub_node *rest = insert_hole(nodes, main, &node->link, v_address, node->range.last);
    node->range.last = v_address - 1;
    return rest;
}

void sub_chain_drop(struct nodes *nodes, struct main_node *main, struct sub_node *hole) {
    list_remove(&hole->link);
    main->length--;
    node_give(&nodes->sub, hole);
}

static bool is_hole(const struct sub_node *node) {
    return node != NULL && sub_node_kind(node) == SEGMENT_HOLE;
}

struct sub_node *merge_holes(struct nodes *nodes, struct free_list *list, struct main_node *main,
                             struct sub_node *hole) {
    struct sub_node *before = before_of(main, hole);
    if (is_hole(before)) {
        free_list_remove(list, before);
        before->range.last = hole->range.last;
        sub_chain_drop(nodes, main, hole);
        hole = before;
    }
    struct sub_node *after = sub_chain_after(main, hole);
    if (is_hole(after)) {
        free_list_remove(list, after);
        hole->range.last = after->range.last;
        sub_chain_drop(nodes, main, after);
    }
    return hole;
}

void sub_chain_move(struct main_node *from, struct sub_node *node, struct main_node *to) {
    while (node != NULL) {
        struct sub_node *next = sub_chain_after(from, node);
        bool process = sub_node_kind(node) == SEGMENT_PROCESS;
        if (process) {
            dict_remove(from, node);
        }
        list_remove(&node->link);
        list_push_back(&to->sub_chain, &node->link);
        from->length--;
        to->length++;
        if (process) {
            dict_insert(to, node);
        }
        node = next;
    }
}
