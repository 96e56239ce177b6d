/*
 * engine_heaps.h - the heaps of the engine, and the free blocks that they have cached.
 */
#pragma once

#include "walk/engine.h"

struct engine_heap {
    uint64_t id;
    uint64_t address;
    bool in_use;
    bool checks_every;
    uint64_t thread; /* the thread pointer of its thread; 0: not known */
    bool is_arena;
    char arena[64]; /* the arena's name, what cannot be shown as '?' */
    uint64_t slab_bytes;
    uint64_t stored_bytes;
    uint64_t large_bytes;
    uint64_t refills, flushes, remote_frees, adoptions, stolen;
};

/* Reads a heap by its id; false if there is none or it cannot be read. */
bool engine_heap(struct engine *engine, uint64_t id, struct engine_heap *heap);

/* A cached block of a heap. `where` is "its thread's magazine", "its depot" or "its heap's quarantine". */
struct engine_cached {
    uint64_t block;
    uint64_t heap;
    unsigned size_class;
    const char *where;
};

/* Shows the small blocks that a heap has cached to `visit`, until that returns false. */
void engine_cached(struct engine *engine, uint64_t id, bool (*visit)(const struct engine_cached *cached, void *context),
                   void *context);

/* Where a heap keeps a block that is not live; NULL: nowhere. */
const char *engine_heap_keeps(struct engine *engine, uint64_t id, uint64_t block);

/* Reads all heaps into heap_list, and into `deferred` the blocks in magazines of those with deferred checks, whose live
 * bits are set. */
void engine_read_heaps(struct engine *engine);
