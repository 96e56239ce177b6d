/* engine_valid.h - the engine's invariants. */
#pragma once

#include <stdbool.h>

/* Whether they hold; if not, *why names one that does not. No other thread may be running. */
bool engine_valid(const char **why);
