/* broken.h - how a check of invariants fails. */
#pragma once

#include <stdbool.h>

/* False, and *why names the invariant that does not hold. */
static inline bool broken(const char **why, const char *what) {
    *why = what;
    return false;
}
