/* broken.h - checks of invariants: a function *_valid returns true if all hold; else *why names one that does not. */
#pragma once

#include <stdbool.h>

/* False, and *why names the invariant that does not hold. */
static inline bool broken(const char **why, const char *what) {
    *why = what;
    return false;
}
