/*
 * dict.h - the dictionary: from a virtual address to the segment that holds it.
 *
 * Interval trees on two levels, as the lists are: one over the main nodes, and in each main node one over its
 * PROCESSes. The first is small enough to stay in the processor's caches when there are a million segments.
 */
#ifndef MEMS_SPACE_DICT_H
#define MEMS_SPACE_DICT_H

#include "node.h"

/* Adds a PROCESS to its main node's tree, by the range that it has. */
void dict_insert(struct main_node *main, struct sub_node *node);

/* Takes it out again. */
void dict_remove(struct main_node *main, struct sub_node *node);

/* Moves the end of a PROCESS that is in the tree; the addresses up to `last` are its own. */
void dict_resize(struct main_node *main, struct sub_node *node, uintptr_t last);

/* The PROCESS of a main node that holds v_address; NULL when none does. */
struct sub_node *dict_search(const struct main_node *main, uintptr_t v_address);

/* The last PROCESS of a main node that starts at or before v_address; NULL when there is none. */
struct sub_node *dict_search_before(const struct main_node *main, uintptr_t v_address);

/* The same for the tree of the main nodes. */
void dict_insert_main(struct range_tree *mains, struct main_node *main);
void dict_remove_main(struct range_tree *mains, struct main_node *main);
void dict_resize_main(struct range_tree *mains, struct main_node *main, uintptr_t last);
struct main_node *dict_search_main(const struct range_tree *mains, uintptr_t v_address);

#endif
