/* copy.h - copies a block's bytes without the space's lock. Meanwhile the block does not move; if freed, it is doomed:
 * it loses its handle at once, and its place after the last copy. */
#pragma once

#include "space.h"

/* Returns where the bytes are. Call with the lock held, and release it afterwards. */
char *copy_begin(struct mems_space *space, struct sub_node *node);

/* Takes the lock, which the caller releases. v_ptr: the block's handle, possibly with an offset. */
void copy_end(struct mems_space *space, const void *v_ptr);

/* Ends one copy with the lock held; returns whether it was the block's last. */
bool copy_over(struct mems_space *space, struct sub_node *node);

/* Frees a block that is being copied: no handle leads to it any more. */
void copy_doom(struct mems_space *space, struct sub_node *node);

/* In a forked child, with the lock free: forgets the copies of the parent's other threads, which will never end. */
void copy_forget_all(struct mems_space *space);
