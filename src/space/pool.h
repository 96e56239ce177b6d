/*
 * pool.h - cells of one size, in chunks of memory from the system.
 *
 * What a pool has once handed out stays readable until the pool is finished: those who look into a space without its
 * lock (dict.h) may follow a pointer that is out of date. So the memory of a chunk that is all free goes back by
 * mapping fresh pages over it, and its address stays. Large chunks, because each that goes back may cost the kernel a
 * mapping.
 *
 * No locking: the space's lock guards all of it.
 */
#ifndef MEMS_SPACE_POOL_H
#define MEMS_SPACE_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"

/* Bytes of a chunk, which is aligned to as many. */
#define POOL_CHUNK ((size_t)256 * 1024)

/* Cells are multiples of a cache line, and each begins at one. */
#define POOL_GRAIN ((size_t)64)

/* Invariants: each chunk is in one of the lists; spare is the number of free cells of the roomy ones. */
struct pool {
    struct list roomy; /* chunks with free cells, and memory */
    struct list full;
    struct list empty; /* chunks whose memory has gone back */
    size_t cell_size;
    size_t cells; /* number of cells in a chunk */
    size_t spare;
    size_t used;  /* number of cells that are taken */
    size_t bytes; /* of memory that has been used, in whole pages */
};

void pool_init(struct pool *pool, size_t cell_size);

/* Sees to it that so many cells can be taken next. 0, or the error of the mapping that failed. */
int pool_reserve(struct pool *pool, size_t count);

/* A cell, which has been reserved. It holds what its last user left; memory fresh from the system reads as zero. */
void *pool_take(struct pool *pool);

/* Gives a cell back. The memory of a chunk that is all free goes back when there is another one to spare. */
void pool_give(struct pool *pool, void *cell);

/*
 * Empties the chunks with the fewest cells: move(from, to, context) is to move a cell's user to another cell. At most
 * `limit` cells are moved. Returns how many; less than the limit: little is left to gain.
 */
size_t pool_gather(struct pool *pool, size_t limit, void (*move)(void *from, void *to, void *context), void *context);

/* Unmaps everything; the pool is empty then. */
void pool_finish(struct pool *pool);

/* True when all invariants hold; otherwise *why names the first that does not. */
bool pool_valid(const struct pool *pool, const char **why);

#endif
