/* hole_list.h - chooses the HOLE that serves a request: the smallest that fits and, among equals, the lowest address.
 * A balanced tree, from large to small sizes and from high to low addresses. All operations take O(log n). */
#pragma once

#include "node.h"

/* All sizes are multiples of this. */
#define HOLE_LIST_GRAIN 8u

/* All zero is an empty list. */
struct hole_list {
    struct tree tree;
};

/* A HOLE's range must not change while it is in the list. */
void hole_list_insert(struct hole_list *list, struct sub_node *hole);

void hole_list_remove(struct hole_list *list, struct sub_node *hole);

/* At least `size` bytes; stays in the list; NULL: none. */
struct sub_node *search_free_list(const struct hole_list *list, size_t size);

/* `to` is a copy of the HOLE. */
void hole_list_replace(struct hole_list *list, struct sub_node *hole, struct sub_node *to);

/* Sums act for the HOLEs of at least `size` bytes, largest first. It may remove its HOLE, and add smaller ones. */
size_t hole_list_each(struct hole_list *list, size_t size, size_t (*act)(struct sub_node *hole, void *context),
                      void *context);

/* Also sets *count to the number of HOLEs. */
bool hole_list_valid(const struct hole_list *list, size_t *count, const char **why);
