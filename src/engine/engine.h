/*
 * engine.h - the engine's entry points: a general-purpose heap, whether or not it replaces the C library's malloc.
 *
 * Every function may be called from any thread, and first, before any initialisation: the engine starts itself.
 * Allocations return NULL and set errno to ENOMEM when memory or the size limit (PTRDIFF_MAX) does not allow them;
 * everything else leaves errno alone. Blocks are aligned to 16 bytes or more. A pointer that is not a live block of
 * this heap ends in a fault report (base/fault.h) that names `operation`, the public function that was called, or
 * "free" where a function has no such argument.
 */
#ifndef MEMS_ENGINE_ENGINE_H
#define MEMS_ENGINE_ENGINE_H

#include <stdbool.h>
#include <stddef.h>

/* A block of at least `size` bytes; a unique block of the smallest class for 0. Contents undefined. */
void *engine_alloc(size_t size);

/* A block of count * size bytes, all zero; NULL, ENOMEM when the product overflows. */
void *engine_alloc_zeroed(size_t count, size_t size);

/* A block whose address is a multiple of `alignment`, a power of two. */
void *engine_alloc_aligned(size_t alignment, size_t size);

/* Gives a block back; NULL is nothing. errno is unchanged. */
void engine_free(void *block);

/*
 * The same, with what the caller knows of the block: `size` as it was asked for last and `alignment` as it was asked
 * for (0: none). A block that cannot have come from that request is a fault ("size mismatch").
 */
void engine_free_sized(const char *operation, void *block, size_t size, size_t alignment);

/*
 * The block with its first min(old, new) bytes at a size of at least `size`, perhaps elsewhere; on failure NULL and the
 * old block as it was. block NULL allocates; size 0 is taken as the smallest size (freeing is the caller's choice).
 */
void *engine_realloc(const char *operation, void *block, size_t size);

/* How many bytes of a live block may be written; 0 for NULL. */
size_t engine_usable_size(const char *operation, const void *block);

/* Gives all free memory that it can back to the system, at once; the bytes given back. */
size_t engine_trim(void);

/*
 * To be called before the process limits itself (RLIMIT_AS, RLIMIT_DATA) or locks its memory (mlockall): what is
 * reserved and not used is given up, and from now on the heap takes from the system piece by piece. Without effect in a
 * child that shares the process's memory (vfork), or with the option confine=off.
 */
void engine_confine(void);

/* To be called when the program has set something that outlives its blocks for size bytes from start on (madvise,
 * mlock): it ends with the blocks. Without effect with the option advice=off, and on what is not the heap's. */
void engine_advised(const void *start, size_t size);

/* The handler of the soft limit (limit.h), as mems_on_limit in mems.h takes it; NULL: none. */
typedef void engine_limit_handler(size_t held, size_t limit, void *context);
void engine_on_limit(engine_limit_handler *call, void *context);

/* Whether the largest blocks shall be mappings of their own, as they are at first, or lie in the window while it has
 * room. For blocks to come. */
void engine_set_mapping(bool maps);

/* Whether the heap's invariants hold; otherwise *why names the first that does not. No other thread may run. */
bool engine_valid(const char **why);

/* The engine's statistics, as mems_engine_stats in mems.h returns them. */
struct mems_engine_stats;
void engine_stats(struct mems_engine_stats *stats);

/* The options, with the contracts of mems_option_set and mems_option_get in mems.h. */
int engine_option_set(const char *name, const char *value);
int engine_option_get(const char *name, char *value, size_t size);

/*
 * Around fork: prepare takes every lock, parent gives them back, child makes the heap whole again for its one thread.
 * The engine registers them itself (pthread_atfork) when the library starts; tests may call them directly.
 */
void engine_fork_prepare(void);
void engine_fork_parent(void);
void engine_fork_child(void);

#endif
