/* copy.h - copying the bytes of a block without the space's lock. Meanwhile the block does not move; if freed, it is
 * doomed: it loses its handle, and its place after the last copy. */
#pragma once

#include "space.h"

/* Call with the lock held, and release it afterwards. Returns where the bytes are. */
char *copy_begin(struct mems_space *space, struct sub_node *node);

/* Takes the lock, which the caller releases. v_ptr: the block's handle, possibly with an offset. */
void copy_end(struct mems_space *space, const void *v_ptr);

/* Ends one copy with the lock held; returns whether it was the last of the block. */
bool copy_over(struct mems_space *space, struct sub_node *node);

/* Frees a block that is being copied: from now on no handle leads to it. */
void copy_doom(struct mems_space *space, struct sub_node *node);

/* Forgets the copies of the parent's other threads, which will never end. In a forked child, with the lock free. */
void copy_forget_all(struct mems_space *space);
