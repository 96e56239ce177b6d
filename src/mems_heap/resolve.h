/* resolve.h - finds a handle's block, or reports what is wrong. With the space locked. */
#pragma once

#include "complaint.h"
#include "space.h"

/* NULL if none. The handle may have an offset. */
struct sub_node *resolve(const struct mems_space *space, const void *v_ptr);

/* The handle must be that of the block's start. */
struct sub_node *resolve_start(const struct mems_space *space, const void *v_ptr);

/* Leaves the space and reports what is wrong with a handle. */
void resolve_refuse(const char *function, struct mems_space *space, const void *v_ptr);

/* Leaves the space and reports that a block is pinned, or that it is not. */
void resolve_refuse_pins(const char *function, struct mems_space *space, const void *v_ptr, bool pinned);

/* Enters the space and resolves a handle. NULL, with the space left, after a failure, which has been reported. */
struct sub_node *resolve_enter(const char *function, struct mems_space *space, const void *v_ptr);
