/* pinned.h - which call sites hold memory of slabs that is otherwise free: inferred from the samples. Samples have
 * separate pages, so none is on a fragmented page itself. But the blocks there are of the same size classes: a class's
 * resident memory beyond its live blocks is divided among the sites in proportion to their live blocks of the class. */
#pragma once

#include <jansson.h>

#include "account/account.h"
#include "walk/session.h"

/* Nothing without samples, or if little is fragmented. */
void pinned_print(struct session *session, const struct account *account);

/* The same as an array. */
json_t *pinned_json(struct session *session, const struct account *account);
