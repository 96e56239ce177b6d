#include "sub_chain.h"

struct sub_node *sub_chain_first(const struct main_node *main) {
    return sub_node_of(main->sub_chain.next);
}

static struct sub_node *segment_before(const struct sub_node *node) {
    return !is_sub_chain(node->link.prev) ? sub_node_of(node->link.prev) : NULL;
}

struct sub_node *sub_chain_after(const struct sub_node *node) {
    return !is_sub_chain(node->link.next) ? sub_node_of(node->link.next) : NULL;
}

char *sub_chain_physical(const struct sub_node *hole) {
    const struct sub_node *before = segment_before(hole);
    if (before != NULL) {
        return before->physical + sub_node_size(before);
    }
    return (char *)CONTAINER_OF(hole->link.prev, struct main_node, sub_chain)->memory.start;
}

/* Inserts a HOLE after the link `at`. */
static struct sub_node *insert_hole(struct nodes *nodes, struct list *at, uintptr_t start, uintptr_t last,
                                    uint32_t generation) {
    struct sub_node *hole = pool_take(&nodes->sub);
    sub_node_set_tag(hole, SEGMENT_HOLE, generation);
    PUBLISH(hole->start, start);
    PUBLISH(hole->last, last);
    list_insert_after(at, &hole->link);
    return hole;
}

struct sub_node *sub_chain_begin(struct nodes *nodes, struct main_node *main, uint32_t generation) {
    return insert_hole(nodes, &main->sub_chain, main->range.start, main->range.last, generation);
}

struct sub_node *sub_chain_append(struct nodes *nodes, struct sub_node *node, uintptr_t last, uint32_t generation) {
    return insert_hole(nodes, &node->link, node->last + 1, last, generation);
}

struct sub_node *sub_chain_cut(struct nodes *nodes, struct sub_node *node, uintptr_t v_address) {
    uintptr_t last = node->last;
    PUBLISH(node->last, v_address - 1);
    return sub_chain_append(nodes, node, last, sub_node_generation(node));
}

void sub_chain_drop(struct nodes *nodes, struct sub_node *hole) {
    list_remove(&hole->link);
    pool_give(&nodes->sub, hole);
}

static bool is_hole(const struct sub_node *node) {
    return node != NULL && sub_node_kind(node) == SEGMENT_HOLE;
}

/* Merges a HOLE with the one behind, and takes over the newer generation. */
static void swallow(struct nodes *nodes, struct sub_node *hole, struct sub_node *after) {
    PUBLISH(hole->last, after->last);
    sub_node_set_tag(hole, SEGMENT_HOLE, newer(sub_node_generation(hole), sub_node_generation(after)));
    sub_chain_drop(nodes, after);
}

struct sub_node *merge_holes(struct nodes *nodes, struct hole_list *list, struct sub_node *hole) {
    struct sub_node *before = segment_before(hole);
    if (is_hole(before)) {
        hole_list_remove(list, before);
        swallow(nodes, before, hole);
        hole = before;
    }
    struct sub_node *after = sub_chain_after(hole);
    if (is_hole(after)) {
        hole_list_remove(list, after);
        swallow(nodes, hole, after);
    }
    return hole;
}

void sub_chain_append_all(struct main_node *to, struct main_node *from) {
    struct list *first = from->sub_chain.next;
    struct list *last = from->sub_chain.prev;
    first->prev = to->sub_chain.prev;
    to->sub_chain.prev->next = first;
    last->next = &to->sub_chain;
    to->sub_chain.prev = last;
    list_init(&from->sub_chain);
}

/* Words that readers without the lock may see are written with PUBLISH. */
void sub_chain_replace(const struct sub_node *from, struct sub_node *to) {
    PUBLISH(to->start, from->start);
    PUBLISH(to->last, from->last);
    PUBLISH(to->physical, from->physical); /* or the first word of a HOLE's tree node */
    to->region = from->region;
    to->slot = from->slot;
    to->pins = from->pins;
    to->copies = from->copies;
    PUBLISH(to->tag, from->tag);
    to->link = from->link;
    to->link.prev->next = &to->link;
    to->link.next->prev = &to->link;
}

void sub_chain_split(struct main_node *from, struct sub_node *node, struct main_node *to) {
    struct list *first = &node->link;
    struct list *last = from->sub_chain.prev;
    from->sub_chain.prev = first->prev;
    first->prev->next = &from->sub_chain;
    to->sub_chain.next = first;
    to->sub_chain.prev = last;
    first->prev = &to->sub_chain;
    last->next = &to->sub_chain;
}
