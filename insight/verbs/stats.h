/*
 * stats.h - `mems stats` for `mems serve`.
 */
#ifndef MEMS_INSIGHT_STATS_H
#define MEMS_INSIGHT_STATS_H

#include "walk/session.h"

/* Prints `mems stats --json` of a session, without `pinned`, which takes symbols. Returns an exit status. */
int stats_brief(struct session *session);

#endif
