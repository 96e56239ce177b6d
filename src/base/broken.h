/*
 * broken.h - how a check of invariants fails.
 */
#ifndef MEMS_BASE_BROKEN_H
#define MEMS_BASE_BROKEN_H

#include <stdbool.h>

/* False, and *why names the invariant that does not hold. */
static inline bool broken(const char **why, const char *what) {
    *why = what;
    return false;
}

#endif
