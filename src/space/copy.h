/*
 * copy.h - the bytes of a block are copied without the space's lock.
 *
 * Meanwhile the block stays where it is, and if it is freed, it is doomed: no handle leads to it, but its place is
 * taken until the last copy has ended.
 */
#ifndef MEMS_SPACE_COPY_H
#define MEMS_SPACE_COPY_H

#include "space.h"

/* With the lock, which the caller gives back then. Returns where the bytes are. */
char *copy_begin(struct mems_space *space, struct sub_node *node);

/* Takes the lock, which the caller is to give back. v_ptr: the block's handle, or one with an offset. */
void copy_end(struct mems_space *space, const void *v_ptr);

/* In a forked child, with the lock free: other threads' copies will never end. */
void copies_forget(struct mems_space *space);

#endif
