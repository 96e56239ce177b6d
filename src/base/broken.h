/* broken.h - for functions *_valid, which check invariants and set *why to one that does not hold. */
#pragma once

#include <stdbool.h>

static inline bool broken(const char **why, const char *what) {
    *why = what;
    return false;
}
