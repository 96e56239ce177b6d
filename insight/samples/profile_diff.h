/*
 * profile_diff.h - call sites that changed between two moments by more than the noise of their estimates.
 */
#pragma once

#include <jansson.h>

#include "walk/session.h"

/* Prints the call sites of live blocks whose change is significant, and the number of the others; nothing if one side
 * has no samples. */
void profile_diff_print(struct session *before, struct session *after);

/* The same as an object; NULL if one side has no samples. */
json_t *profile_diff_json(struct session *before, struct session *after);
