/*
 * stats.h - the engine's statistics, gathered by walking the heap.
 *
 * Nothing is counted on the fast paths: what is live, cached and free is read off the bitmaps when somebody asks.
 */
#ifndef MEMS_ENGINE_STATS_H
#define MEMS_ENGINE_STATS_H

#include "mems.h"

/* Fills in all of it; where the engine has not started, what the process is. Holds the spans' lock while it walks the
 * page map: some microseconds a MiB of heap. */
void stats_collect(struct mems_engine_stats *stats);

#endif
