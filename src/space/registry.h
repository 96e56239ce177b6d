/*
 * registry.h - all spaces, so that a fork finds them, and a reader from outside (base/layout.h).
 *
 * fork copies a space as it is at that moment. So before it every lock is taken, in order of rank and, for the spaces,
 * in order of the list; afterwards the parent gives them back and the child makes them free.
 */
#ifndef MEMS_SPACE_REGISTRY_H
#define MEMS_SPACE_REGISTRY_H

#include "base/layout.h"
#include "space.h"

/* `spaces` has all but the default one, which is always there; under the lock. */
struct space_root {
    struct root_head head;
    struct mems_space *first; /* the default one */
    struct lock lock;
    struct list spaces;
};

extern struct space_root space_root;

/* The rows of all structures that a reader follows from there: layout.c. */
extern struct layout_row space_layout[];

void registry_add(struct mems_space *space);
void registry_remove(struct mems_space *space);

#endif
