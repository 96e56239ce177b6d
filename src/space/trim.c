/*
 * trim.c - whole pages inside HOLEs go back to the system.
 *
 * What is unmapped becomes a main node of its own, without memory, so that the virtual addresses stay reserved; a main
 * node around it is divided. Main nodes without memory that touch are joined.
 */
#include "space.h"

/* The most cells that one HOLE takes: two divisions. */
#define CELLS_MAX 4

/* The whole pages of its main node that lie inside a HOLE: first..end - 1. */
static bool pages_inside(const struct mems_space *space, const struct sub_node *hole, uintptr_t *first,
                         uintptr_t *end) {
    uintptr_t start = hole->main->start;
    size_t page = space->page_size;
    *first = start + (hole->range.start - start + page - 1) / page * page;
    *end = start + (hole->range.last + 1 - start) / page * page;
    return *first < *end;
}

/* A main node that has just lost its memory joins those without memory beside it; its HOLE enters their list. */
static void reserve_main_node(struct mems_space *space, struct main_node *node) {
    struct main_node *before = main_chain_before(&space->chain, node);
    struct main_node *after = main_chain_after(&space->chain, node);
    if (after != NULL && after->memory == NULL) {
        free_list_remove(&space->reserved, sub_node_of(after->sub_chain.next));
        main_chain_join(&space->chain, &space->nodes, node);
    }
    if (before != NULL && before->memory == NULL) {
        free_list_remove(&space->reserved, sub_node_of(before->sub_chain.next));
        main_chain_join(&space->chain, &space->nodes, before);
        node = before;
    }
    free_list_insert(&space->reserved, sub_node_of(node->sub_chain.next));
}

/* Divides a main node so that first..end - 1, in a HOLE that is not in the free list, is one of its own. What is left
 * of the HOLE on both sides enters the free list. */
static struct main_node *isolate(struct mems_space *space, struct sub_node *hole, uintptr_t first, uintptr_t end) {
    uintptr_t last = hole->range.last;
    struct main_node *node = hole->main;
    if (end <= node->last) {
        struct main_node *behind =
            main_chain_split(&space->chain, &space->nodes, end <= last ? hole : sub_chain_after(hole), end);
        if (end <= last) {
            free_list_insert(&space->holes, sub_node_of(behind->sub_chain.next));
        }
    }
    if (first > node->start) {
        uintptr_t start = hole->range.start;
        node = main_chain_split(&space->chain, &space->nodes, hole, first);
        if (start < first) {
            free_list_insert(&space->holes, hole);
        }
    }
    return node;
}

/* Unmaps the whole pages inside a HOLE; returns their bytes, 0 when there are none or the system refuses. */
static size_t trim_hole(struct mems_space *space, struct sub_node *hole) {
    uintptr_t first, end;
    if (!pages_inside(space, hole, &first, &end) || node_pool_reserve(&space->nodes, CELLS_MAX) != 0 ||
        main_chain_unmap(&space->chain, hole->main, first, end) != 0) {
        return 0;
    }
    free_list_remove(&space->holes, hole);
    struct main_node *node = isolate(space, hole, first, end);
    node->memory = NULL;
    reserve_main_node(space, node);
    return end - first;
}

/*
 * From the end of the sub-chain to its start: a division moves all segments behind it, so that each is moved only once.
 * Trimming the first segment may end the main node itself; by then it is not looked at any more.
 */
static size_t trim_main_node(struct mems_space *space, struct main_node *node) {
    size_t bytes = 0;
    struct list *link = node->sub_chain.prev;
    while (link != &node->sub_chain) {
        struct sub_node *segment = sub_node_of(link);
        link = link->prev;
        if (sub_node_kind(segment) == SEGMENT_HOLE) {
            bytes += trim_hole(space, segment);
        }
    }
    return bytes;
}

size_t space_trim(const char *function, struct mems_space *space) {
    if (!space_enter(function, space)) {
        return 0;
    }
    size_t bytes = 0;
    if (space->state == SPACE_READY) {
        struct list *link = space->chain.nodes.prev;
        while (link != &space->chain.nodes) {
            struct main_node *node = main_node_of(link);
            link = link->prev;
            if (node->memory != NULL) {
                bytes += trim_main_node(space, node);
            }
        }
    }
    space_leave(space);
    return bytes;
}
