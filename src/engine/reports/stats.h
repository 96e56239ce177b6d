/* stats.h - the engine's statistics. Fast paths count nothing: slabs count their free slots, magazines tell the cached
 * ones, and all others are live. */
#pragma once

#include "mems.h"

/* Before the engine starts, only what concerns the process. O(heaps), whatever their size; holds each lock only to read
 * a few words. */
void stats_collect(struct mems_engine_stats *stats);
