/* engine_heaps.h - the engine's heaps, and the free blocks that they have cached. */
#pragma once

#include "walk/engine.h"

struct engine_heap {
    uint64_t id;
    uint64_t address;
    bool in_use;
    bool bare; /* nobody uses it, and its lists are undefined */
    bool checks_every;
    uint64_t thread; /* its thread's thread pointer; 0: unknown */
    bool is_arena;
    char arena[64]; /* the arena's name, with '?' for what cannot be shown */
    uint64_t slab_bytes;
    uint64_t stored_bytes;
    uint64_t large_bytes;
    uint64_t refills, flushes, remote_frees, adoptions, stolen;
};

/* False if there is no such heap or it cannot be read. */
bool engine_heap(struct engine *engine, uint64_t id, struct engine_heap *heap);

/* `where` is "its thread's magazine", "its depot" or "its heap's quarantine". */
struct engine_cached {
    uint64_t block;
    uint64_t heap;
    unsigned size_class;
    const char *where;
};

/* Visits a heap's cached small blocks, until `visit` returns false. */
void engine_cached(struct engine *engine, uint64_t id, bool (*visit)(const struct engine_cached *cached, void *context),
                   void *context);

/* Where a heap keeps a block that is not live, or NULL. */
const char *engine_heap_keeps(struct engine *engine, uint64_t id, uint64_t block);

/* Fills in heap_list, and `deferred` with the blocks in magazines of heaps with deferred checks, whose live bits are
 * set. */
void engine_read_heaps(struct engine *engine);
