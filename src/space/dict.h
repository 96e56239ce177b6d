/*
 * dict.h - the dictionary: which PROCESS segment holds a virtual address. An interval tree over all of them.
 */
#ifndef MEMS_SPACE_DICT_H
#define MEMS_SPACE_DICT_H

#include "node.h"

struct dict {
    struct range_tree tree;
};

/* Adds a segment by the range that it has. */
void dict_insert(struct dict *dict, struct sub_node *node);

/* Takes out a segment that is in the dictionary. */
void dict_remove(struct dict *dict, struct sub_node *node);

/* Moves the end of a segment that is in the dictionary; the addresses up to `last` are its own. */
void dict_resize(struct dict *dict, struct sub_node *node, uintptr_t last);

/* The PROCESS segment that holds v_address; NULL when none does. */
struct sub_node *dict_search(const struct dict *dict, uintptr_t v_address);

/* The last PROCESS segment that starts at or before v_address; NULL when there is none. */
struct sub_node *dict_search_before(const struct dict *dict, uintptr_t v_address);

#endif
