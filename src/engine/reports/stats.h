/*
 * stats.h - the engine's statistics, summed up from counters.
 *
 * The fast paths count nothing. Free slots are counted where slabs change, on slow paths; cached ones are read from the
 * magazines on request; all others are live.
 */
#ifndef MEMS_ENGINE_STATS_H
#define MEMS_ENGINE_STATS_H

#include "mems.h"

/* Fills in everything; if the engine has not started, only what concerns the process. O(heaps), whatever their size;
 * holds no lock for longer than it takes to read a few words. */
void stats_collect(struct mems_engine_stats *stats);

#endif
