/*
 * compact.h - the bytes of a movable space's blocks move together, and its nodes, so that memory goes back.
 */
#ifndef MEMS_SPACE_COMPACT_H
#define MEMS_SPACE_COMPACT_H

#include "space.h"

/* With the space locked: moves blocks until there is nothing to gain. Returns the bytes that the system got back. */
size_t compact_all(struct mems_space *space);

/* The same in steps, with the space not locked: what space_trim does for a movable one. */
size_t compact_to_trim(const char *function, struct mems_space *space);

/* Before a block of `size` bytes is placed in a movable space: moves some, in proportion, if there is much to gain; in
 * a restless one, all whose place has been told. */
void compact_ahead(struct mems_space *space, size_t size);

#endif
