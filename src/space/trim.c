/*
 * trim.c - whole pages inside HOLEs go back to the system.
 *
 * What is unmapped becomes a main node of its own, without memory, so that the virtual addresses stay reserved; a main
 * node around it is divided. Main nodes without memory that touch are joined.
 */
#include "space.h"

/* The most cells of each kind that one HOLE takes: two divisions. */
#define CELLS_MAX 2

/* The whole pages of the main node that lie inside a HOLE of it: *first..*end - 1. */
static bool pages_inside(size_t page, const struct main_node *main, const struct sub_node *hole, uintptr_t *first,
                         uintptr_t *end) {
    uintptr_t start = main->range.start;
    *first = start + (hole->range.start - start + page - 1) / page * page;
    *end = start + (hole->range.last + 1 - start) / page * page;
    return *first < *end;
}

/* A main node that has just lost its memory joins those without memory beside it; its HOLE enters their list. */
static void reserve_main_node(struct mems_space *space, struct main_node *main) {
    struct main_node *before = main_chain_before(&space->chain, main);
    struct main_node *after = main_chain_after(&space->chain, main);
    if (after != NULL && after->memory == NULL) {
        free_list_remove(&space->reserved, sub_chain_first(after));
        main_chain_join(&space->chain, &space->nodes, main);
    }
    if (before != NULL && before->memory == NULL) {
        free_list_remove(&space->reserved, sub_chain_first(before));
        main_chain_join(&space->chain, &space->nodes, before);
        main = before;
    }
    free_list_insert(&space->reserved, sub_chain_first(main));
}

/* Divides a main node so that first..end - 1, in a HOLE that is not in the free list, is one of its own. What is left
 * of the HOLE on both sides enters the free list. */
static struct main_node *isolate(struct mems_space *space, struct main_node *main, struct sub_node *hole,
                                 uintptr_t first, uintptr_t end) {
    if (end <= hole->range.last) {
        struct main_node *behind = main_chain_split(&space->chain, &space->nodes, main, hole, end);
        free_list_insert(&space->holes, sub_chain_first(behind));
    } else if (end <= main->range.last) {
        main_chain_split(&space->chain, &space->nodes, main, sub_chain_after(main, hole), end);
    }
    if (first > hole->range.start) {
        main = main_chain_split(&space->chain, &space->nodes, main, hole, first);
        free_list_insert(&space->holes, hole);
    } else if (first > main->range.start) {
        main = main_chain_split(&space->chain, &space->nodes, main, hole, first);
    }
    return main;
}

/* Unmaps the whole pages inside a HOLE; returns their bytes, 0 when there are none or the system refuses. */
static size_t trim_hole(struct mems_space *space, struct main_node *main, struct sub_node *hole) {
    uintptr_t first, end;
    if (!pages_inside(space->page_size, main, hole, &first, &end) ||
        nodes_reserve(&space->nodes, CELLS_MAX, CELLS_MAX) != 0 ||
        main_chain_unmap(&space->chain, main, first, end) != 0) {
        return 0;
    }
    free_list_remove(&space->holes, hole);
    main = isolate(space, main, hole, first, end);
    main->memory = NULL;
    reserve_main_node(space, main);
    return end - first;
}

/*
 * From the end of the sub-chain to its start: a division moves all segments behind it, so that each is moved only once.
 * Trimming the first segment may end the main node itself; by then it is not looked at any more.
 */
static size_t trim_main_node(struct mems_space *space, struct main_node *main) {
    size_t bytes = 0;
    struct list *link = main->sub_chain.prev;
    while (link != &main->sub_chain) {
        struct sub_node *segment = sub_node_of(link);
        link = link->prev;
        if (sub_node_kind(segment) == SEGMENT_HOLE) {
            bytes += trim_hole(space, main, segment);
        }
    }
    return bytes;
}

size_t space_trim(const char *function, struct mems_space *space) {
    if (!space_enter(function, space, NULL)) {
        return 0;
    }
    size_t bytes = 0;
    if (space->state == SPACE_READY) {
        struct list *link = space->chain.list.prev;
        while (link != &space->chain.list) {
            struct main_node *main = main_node_of(link);
            link = link->prev;
            if (main->memory != NULL) {
                bytes += trim_main_node(space, main);
            }
        }
    }
    space_leave(space);
    return bytes;
}
