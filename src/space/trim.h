/*
 * trim.h - whole pages inside HOLEs go back to the system.
 */
#ifndef MEMS_SPACE_TRIM_H
#define MEMS_SPACE_TRIM_H

#include "space.h"

/* Unmaps the whole pages inside a HOLE with memory, of the free list, which may not be one any more then; returns their
 * bytes. 0 when there are none, when the system refuses, or when memory would be cut into too many pieces. */
size_t trim_hole(struct mems_space *space, struct sub_node *hole);

#endif
