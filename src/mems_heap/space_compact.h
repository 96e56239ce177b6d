/* space_compact.h - moves the blocks of a movable space together, and its nodes, so that memory can go back. */
#pragma once

#include "space.h"

/* Moves blocks until there is nothing to gain, with the space locked. Returns the bytes given back. */
size_t space_compact_all(struct mems_space *space);

/* The same in steps, with the space unlocked: space_trim for a movable space. */
size_t space_compact_to_trim(const char *function, struct mems_space *space);

/* Called before a block of `size` bytes is placed in a movable space. Moves a proportional number of bytes if there
 * is much to gain; in a restless space, all blocks whose address is known. */
void space_compact_ahead(struct mems_space *space, size_t size);
