/* arena_stats.h - the list of arenas (calls/arena.h), and their figures. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/heaps/heap.h"
#include "mems.h"

/* Under the lock of the arena's heap. O(slabs). */
void arena_collect(const struct heap *heap, struct mems_arena_stats *stats);

/* Stores up to `most` handles; returns how many arenas there are. */
size_t arena_list(struct mems_arena **handles, size_t most);

/* Of the arena whose heap has this id; false if there is none. */
bool arena_stats_of(uint32_t id, struct mems_arena_stats *stats);
