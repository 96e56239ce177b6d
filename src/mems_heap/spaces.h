/* spaces.h - all spaces, for fork and for readers from outside (base/layout.h), and their numbers in handles. fork
 * takes all locks, by rank and in list order, then releases them in the parent and resets them in the child. */
#pragma once

#include "base/layout.h"
#include "space.h"

/* `spaces` holds all but the default space, which always exists. Guarded by the lock. */
struct space_root {
    struct root_head head;
    struct mems_space *first; /* the default space */
    struct lock lock;
    struct list spaces;
};

extern struct space_root space_root;

/* Of all structures that can be reached from there (space_layout.c). */
extern struct space_layout space_layout;

void spaces_add(struct mems_space *space);
void spaces_remove(struct mems_space *space);

/* A space with generations gets its number, and the generation to start with: the one after those of the last space
 * with this number. There are HANDLE_NUMBERS - 1 numbers; further spaces share them, with distant generations. */
uint32_t spaces_take_number(uint32_t *generation);

/* With the newest generation of its space. */
void spaces_give_number(uint32_t number, uint32_t newest);
