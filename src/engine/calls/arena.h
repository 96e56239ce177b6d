/*
 * arena.h - heaps that no thread owns: a program allocates from one by its handle, and can free all of it at once.
 *
 * Whoever holds the lock of an arena's heap acts as its thread: everything, including magazines and live bits, is
 * reached under the lock. Frees are always checked at the call (heap_set_mode). Any thread may free its blocks by plain
 * free: slots return through remote bits and the inbox (remote.h), and a large block leaves the arena's list. It adopts
 * no abandoned slab, and nobody steals from it, so all blocks of its slabs are its own; unused memory is reclaimed like
 * an idle heap's. A forked child gets all of it.
 *
 * A handle is a number, generation << ARENA_ID_BITS | heap id, so a destroyed arena's leads nowhere. A wrong handle, or
 * a block of another heap, is a fault that names `operation`.
 */
#pragma once

#include <stddef.h>

#include "engine/reports/arena_stats.h"

struct mems_arena;
struct mems_arena_stats;

#define ARENA_ID_BITS 24u
#define ARENA_ID_MASK ((1u << ARENA_ID_BITS) - 1)
_Static_assert(HEAPS_MAX <= 1u << ARENA_ID_BITS, "a heap's id fits into a handle");

/* See mems.h. */
struct mems_arena *arena_create(const char *name);
void arena_destroy(const char *operation, struct mems_arena *handle);
void arena_reset(const char *operation, struct mems_arena *handle);
void *arena_alloc(const char *operation, struct mems_arena *handle, size_t size);
void *arena_alloc_zeroed(const char *operation, struct mems_arena *handle, size_t count, size_t size);
void *arena_alloc_aligned(const char *operation, struct mems_arena *handle, size_t alignment, size_t size);
void *arena_realloc(const char *operation, struct mems_arena *handle, void *block, size_t size);
void arena_free(const char *operation, struct mems_arena *handle, void *block);
void arena_stats(const char *operation, struct mems_arena *handle, struct mems_arena_stats *stats);
