/* profile_diff.h - call sites that changed between two moments by more than the noise of their estimates. */
#pragma once

#include <jansson.h>

#include "walk/session.h"

/* Sites of live blocks with a significant change, and the number of the others; nothing if one side has no samples. */
void profile_diff_print(struct session *before, struct session *after);

/* NULL if one side has no samples. */
json_t *profile_diff_json(struct session *before, struct session *after);
