/*
 * stats.h - the engine's statistics, summed up from counters.
 *
 * Nothing is counted on the fast paths: slots that are free are counted where slabs change, on slow paths; those that
 * are cached are read off the magazines when somebody asks; all others are live.
 */
#ifndef MEMS_ENGINE_STATS_H
#define MEMS_ENGINE_STATS_H

#include "mems.h"

/* Fills in all of it; where the engine has not started, what the process is. O(heaps), however large they are; no lock
 * is held for longer than it takes to read some words. */
void stats_collect(struct mems_engine_stats *stats);

#endif
