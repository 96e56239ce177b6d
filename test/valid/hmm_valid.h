/* hmm_valid.h - the invariants that the headers of src/hmm state. */
#pragma once

#include <stdbool.h>

#include "hmm/hmm_alloc.h"

/* Whether they hold; if not, *why names one that does not. O(number of blocks). */
bool hmm_valid(struct HmmHeap *heap, const char **why);
