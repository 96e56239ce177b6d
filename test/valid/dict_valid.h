/* dict_valid.h - the invariants of the dictionary. */
#pragma once

#include <stdbool.h>

#include "mems_heap/dict.h"

/* Whether they hold, except what depends on the segments (that dict_search finds each); if not, *why names one that
 * does not. */
bool dict_valid(const struct dict *dict, const char **why);
