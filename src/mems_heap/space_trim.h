/*
 * space_trim.h - gives back whole pages inside HOLEs.
 */
#ifndef MEMS_HEAP_SPACE_TRIM_H
#define MEMS_HEAP_SPACE_TRIM_H

#include "space.h"

/* Unmaps the whole pages inside a HOLE of the free list, which may then no longer be a HOLE; returns their bytes. 0
 * if there are none, the system refuses, or memory would be cut into too many pieces. */
size_t space_trim_hole(struct mems_space *space, struct sub_node *hole);

#endif
