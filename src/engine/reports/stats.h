/* stats.h - the engine's statistics, summed up from counters. Fast paths count nothing: slabs count their free slots,
 * magazines tell the cached ones, and all others are live. */
#pragma once

#include "mems.h"

/* Fills in everything; if the engine has not started, only what concerns the process. O(heaps), whatever their size;
 * holds no lock for longer than it takes to read a few words. */
void stats_collect(struct mems_engine_stats *stats);
