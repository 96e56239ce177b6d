/*
 * spaces.h - all spaces: so that a fork finds them, and the numbers by which handles tell them apart.
 *
 * fork copies a space as it is at that moment. So before it every lock is taken, in order of rank and, for the spaces,
 * in order of the list; afterwards the parent gives them back and the child makes them free.
 */
#ifndef MEMS_SPACE_SPACES_H
#define MEMS_SPACE_SPACES_H

#include "space.h"

void spaces_add(struct mems_space *space);
void spaces_remove(struct mems_space *space);

/*
 * A number for a space with generations, and the generation with which it begins: the one after all that the last space
 * with this number has had. There are HANDLE_NUMBERS - 1 numbers; further spaces share them, and begin with generations
 * that are far from each other.
 */
uint32_t spaces_take_number(uint32_t *generation);

/* A number comes free, with the newest generation of its space. */
void spaces_give_number(uint32_t number, uint32_t newest);

#endif
