/* space_trim.c - gives back whole pages inside HOLEs. The unmapped part becomes a main node without memory, joined with
 * adjacent ones, so its virtual addresses stay reserved; the main node around it is split. */
#include "space_compact.h"

/* The most cells of each kind for one HOLE: for two splits. */
#define CELLS_MAX 2

/* The whole pages in a HOLE are *first..*end - 1. */
static bool pages_inside(size_t page, const struct main_node *main, const struct sub_node *hole, uintptr_t *first,
                         uintptr_t *end) {
    uintptr_t start = main->range.start;
    *first = start + (hole->start - start + page - 1) / page * page;
    *end = start + (hole->last + 1 - start) / page * page;
    return *first < *end;
}

/* A main node that has just lost its memory joins such neighbours; lists the HOLE of all. */
static void reserve_main_node(struct mems_space *space, struct main_node *main) {
    struct main_node *before = main_chain_before(&space->chain, main);
    struct main_node *after = main_chain_after(&space->chain, main);
    if (after != NULL && !main_node_has_memory(after)) {
        hole_list_remove(&space->reserved, sub_chain_first(after));
        main_chain_join(&space->chain, &space->nodes, main);
    }
    if (before != NULL && !main_node_has_memory(before)) {
        hole_list_remove(&space->reserved, sub_chain_first(before));
        main_chain_join(&space->chain, &space->nodes, before);
        main = before;
    }
    hole_list_insert(&space->reserved, sub_chain_first(main));
}

/* first..end - 1, in a HOLE that is not in the free list, becomes a main node; the other parts enter the list. */
static struct main_node *isolate(struct mems_space *space, struct main_node *main, struct sub_node *hole,
                                 uintptr_t first, uintptr_t end) {
    if (end <= hole->last) {
        struct main_node *behind = main_chain_split(&space->chain, &space->nodes, main, hole, end);
        hole_list_insert(&space->holes, sub_chain_first(behind));
    } else if (end <= main->range.last) {
        main_chain_split(&space->chain, &space->nodes, main, sub_chain_after(hole), end);
    }
    if (first > hole->start) {
        main = main_chain_split(&space->chain, &space->nodes, main, hole, first);
        hole_list_insert(&space->holes, hole);
    } else if (first > main->range.start) {
        main = main_chain_split(&space->chain, &space->nodes, main, hole, first);
    }
    return main;
}

size_t space_trim_hole(struct mems_space *space, struct sub_node *hole) {
    uintptr_t first, end;
    struct main_node *main = main_chain_find(&space->chain, hole->start);
    if (!pages_inside(space->page_size, main, hole, &first, &end) ||
        !main_chain_may_cut(&space->chain, main, first, end) ||
        nodes_reserve(&space->nodes, CELLS_MAX, CELLS_MAX) != 0 ||
        main_chain_unmap(&space->chain, main, first, end) != 0) {
        return 0;
    }
    hole_list_remove(&space->holes, hole);
    main = isolate(space, main, hole, first, end);
    main_chain_forget(&space->chain, main);
    reserve_main_node(space, main);
    return end - first;
}

static size_t trim_each(struct sub_node *hole, void *space) {
    return space_trim_hole(space, hole);
}

size_t space_trim_locked(struct mems_space *space) {
    if (space->state != SPACE_READY) {
        return 0;
    }
    if (space->movable) {
        return space_compact_all(space);
    }
    return hole_list_each(&space->holes, space->page_size, trim_each, space);
}

size_t space_trim(const char *function, struct mems_space *space) {
    if (!space_enter(function, space, NULL)) {
        return 0;
    }
    bool movable = space->movable;
    size_t bytes = movable ? 0 : space_trim_locked(space);
    space_leave(space);
    return movable ? space_compact_to_trim(function, space) : bytes;
}
