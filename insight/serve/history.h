/*
 * history.h - the watched processes as JSON for the pages.
 */
#pragma once

#include <jansson.h>

#include "serve/watch.h"

/* All, each with the last minute of its Rss. */
json_t *history_list(const struct watch *watch);

/* Everything remembered of one process. */
json_t *history_of(const struct watched *watched);
