/* pool.h - cells of one size, in chunks of memory from the system. Readers without the space's lock (dict.h) may follow
 * stale pointers, so a cell once handed out stays readable until the pool ends: fresh pages replace the memory of a
 * free chunk. Chunks are large, because giving one back may cost the kernel a mapping. Under the space's lock. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/list.h"

/* Size and alignment of a chunk. */
#define POOL_CHUNK ((size_t)256 * 1024)

/* Cells are whole cache lines. */
#define POOL_GRAIN ((size_t)64)

/* Invariants: each chunk is in one of the lists; spare is the number of free cells of the roomy ones. */
struct pool {
    struct list roomy; /* chunks with memory and free cells */
    struct list full;
    struct list empty; /* chunks whose memory has gone back */
    size_t cell_size;
    size_t cells; /* number of cells in a chunk */
    size_t spare;
    size_t used;  /* number of cells taken */
    size_t bytes; /* of memory that has been used, in whole pages */
};

void pool_init(struct pool *pool, size_t cell_size);

/* Ensures that `count` cells can be taken. 0, or the failed mapping's error. */
int pool_reserve(struct pool *pool, size_t count);

/* A reserved cell. It holds its last user's data; fresh memory reads as zero. */
void *pool_take(struct pool *pool);

/* A chunk that becomes free gives up its memory if there is another to spare. */
void pool_give(struct pool *pool, void *cell);

/* Empties the chunks with the fewest cells by moving at most `limit` users: move(from, to, context) moves one. Returns
 * how many; fewer than `limit`: little is left to gain. */
size_t pool_gather(struct pool *pool, size_t limit, void (*move)(void *from, void *to, void *context), void *context);

/* Unmaps everything and empties the pool. */
void pool_finish(struct pool *pool);

bool pool_valid(const struct pool *pool, const char **why);
