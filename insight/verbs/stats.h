/*
 * stats.h - `mems stats` for `mems serve`.
 */
#ifndef MEMS_INSIGHT_STATS_H
#define MEMS_INSIGHT_STATS_H

#include "walk/session.h"

/* Prints `mems stats --json` of a session, whose mappings have been read with their numbers: without `pinned`, which
 * takes symbols, without white space and without what stats_explain adds. Returns an exit status. */
int stats_brief(struct session *session);

/* Adds to the rows why each is there, and when it goes. */
void stats_explain(json_t *stats);

#endif
