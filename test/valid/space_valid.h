/* space_valid.h - the invariants of a space, which hold whenever its lock is free. */
#pragma once

#include <stdbool.h>

#include "mems_heap/space.h"

/* Whether they hold; if not, *why names one that does not. Takes the lock. O(n log n). */
bool space_valid(struct mems_space *space, const char **why);
