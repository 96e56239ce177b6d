/*
 * lookup.h - what a handle is: the block that it names, or what is wrong with it. With the space locked.
 */
#ifndef MEMS_SPACE_LOOKUP_H
#define MEMS_SPACE_LOOKUP_H

#include "complaint.h"
#include "space.h"

/* The block that a handle, or one with an offset, names; NULL when there is none. */
struct sub_node *lookup(const struct mems_space *space, const void *v_ptr);

/* The same, but the handle is of the block's start. */
struct sub_node *lookup_start(const struct mems_space *space, const void *v_ptr);

/* Leaves the space and tells what is wrong with a handle that the function was given. Returns the error number. */
int refuse_handle(const char *function, struct mems_space *space, const void *v_ptr);

/* Leaves the space and tells that nothing can be done with a block now, for it is pinned. Returns the error number. */
int refuse_pinned(const char *function, struct mems_space *space, const void *v_ptr);

#endif
