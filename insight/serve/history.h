/*
 * history.h - the watched processes as JSON for the pages.
 */
#ifndef MEMS_INSIGHT_HISTORY_H
#define MEMS_INSIGHT_HISTORY_H

#include <jansson.h>

#include "serve/watch.h"

/* All processes, each with the last minute of its Rss. */
json_t *history_list(const struct watch *watch);

/* Everything remembered of one process. */
json_t *history_of(const struct watched *watched);

#endif
