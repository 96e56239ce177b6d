/*
 * free_list.h - HOLEs by size: the smallest one that fits, and of equal ones that with the lowest address.
 *
 * The two-level bins of base/bins.h divide the sizes; within a bin the HOLEs are a balanced tree, by size and then by
 * address. So finding, adding and removing one takes at most the logarithm of the number of HOLEs in a bin.
 */
#ifndef MEMS_SPACE_FREE_LIST_H
#define MEMS_SPACE_FREE_LIST_H

#include "base/bins.h"
#include "node.h"

/* Sizes are multiples of it. */
#define FREE_LIST_GRAIN 8u

/*
 * All zero is a valid, empty list. Invariants: a bit of the map is set iff the bin's tree is not empty; every HOLE lies
 * in the bin of its size, in order.
 */
struct free_list {
    struct bins_map map;
    struct tree bins[BINS_LEVELS][BINS_STEPS];
};

/* Adds a HOLE by the range that it has, which must not change while it is in the list. */
void free_list_insert(struct free_list *list, struct sub_node *hole);

/* Takes out a HOLE that is in the list. */
void free_list_remove(struct free_list *list, struct sub_node *hole);

/* The best HOLE of at least `size` bytes, left in the list; NULL when there is none. */
struct sub_node *search_free_list(const struct free_list *list, size_t size);

/* `to`, a copy of a HOLE of the list in another cell, takes its place. */
void free_list_replace(struct free_list *list, struct sub_node *hole, struct sub_node *to);

/* Calls act for the HOLEs of at least `size` bytes, the largest first, but for the order within a bin. It may take the
 * one that it is given out, and add smaller ones. Returns the sum of what it returns. */
size_t free_list_each(struct free_list *list, size_t size, size_t (*act)(struct sub_node *hole, void *context),
                      void *context);

/* True when all invariants hold, and *count HOLEs are in the list; otherwise *why names the first that does not. */
bool free_list_valid(const struct free_list *list, size_t *count, const char **why);

#endif
