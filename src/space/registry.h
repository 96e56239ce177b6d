/*
 * registry.h - all spaces, so that a fork finds them.
 *
 * fork copies a space as it is at that moment. So before it every lock is taken, in order of rank and, for the spaces,
 * in order of the list; afterwards the parent gives them back and the child makes them free.
 */
#ifndef MEMS_SPACE_REGISTRY_H
#define MEMS_SPACE_REGISTRY_H

#include "space.h"

void registry_add(struct mems_space *space);
void registry_remove(struct mems_space *space);

#endif
