/* space_compact.h - moves a movable space's blocks and nodes together, so that memory can go back. store_evacuate
 * (store.c) chooses which blocks. */
#pragma once

#include "space.h"

/* With the space locked, until there is nothing to gain. Returns the bytes given back. */
size_t space_compact_all(struct mems_space *space);

/* In steps, with the space unlocked: space_trim for a movable space. */
size_t space_compact_to_trim(const char *function, struct mems_space *space);

/* Before a block is placed in a movable space: moves a proportional number of bytes if there is much to gain; in a
 * restless space, all blocks whose address is known. */
void space_compact_ahead(struct mems_space *space, size_t size);
