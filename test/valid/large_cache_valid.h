/* large_cache_valid.h - the invariants of a cache of large blocks. */
#pragma once

#include <stdbool.h>

#include "engine/memory/large_cache.h"

/* Whether they hold; if not, *why names one that does not. O(blocks). */
bool large_cache_valid(const struct large_cache *cache, const char **why);
