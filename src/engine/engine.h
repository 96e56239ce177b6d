/*
 * engine.h - the engine's entry points: a general-purpose heap, whether or not it replaces the C library's malloc.
 *
 * Every function may be called from any thread at any time: the engine starts itself. Allocations return NULL with
 * errno ENOMEM if memory or the size limit (PTRDIFF_MAX) does not allow them; all else leaves errno alone. Blocks are
 * aligned to at least 16 bytes. A pointer that is not a live block ends in a fault report (base/fault.h) that names
 * `operation`, the public function that was called, or "free" where there is no such argument.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* A block of at least `size` bytes; a unique block of the smallest class for 0. Contents undefined. */
void *engine_alloc(size_t size);

/* The same for a function other than malloc, and for an alignment: with harden=full each block records its origin
 * (slot_record.h), and must be freed by a matching function. */
enum origin { ORIGIN_MALLOC, ORIGIN_NEW, ORIGIN_NEW_ARRAY, ORIGIN_NEW_ALIGNED, ORIGINS };
void *engine_alloc_as(enum origin origin, size_t size);
void *engine_alloc_aligned_as(enum origin origin, size_t alignment, size_t size);

/* Allocates count * size zeroed bytes; NULL with ENOMEM if the product overflows. */
void *engine_alloc_zeroed(size_t count, size_t size);

/* Allocates a block whose address is a multiple of `alignment`, a power of two. */
void *engine_alloc_aligned(size_t alignment, size_t size);

/* NULL is ignored; errno is unchanged. */
void engine_free(void *block);

/* The same under another function's name, which with harden=full determines the kind of block that it takes. */
void engine_free_as(const char *operation, void *block);

/* The same, given what the caller knows about the block: `size` as last requested, and `alignment` as requested (0:
 * none). A block that cannot have come from that request is a fault ("size mismatch"). */
void engine_free_sized(const char *operation, void *block, size_t size, size_t alignment);

/* Resizes a block to at least `size` bytes, possibly elsewhere, with its first min(old, new) bytes; on failure returns
 * NULL and leaves the old block alone. A NULL block is allocated; size 0 is the smallest size (the caller may free). */
void *engine_realloc(const char *operation, void *block, size_t size);

/* How many bytes of a live block may be written; 0 for NULL. */
size_t engine_usable_size(const char *operation, const void *block);

/* See mems_check_write in mems.h. */
void engine_check_write(const char *function, const void *address, size_t size);

/* Gives all the free memory it can back to the system at once; returns the number of bytes. */
size_t engine_trim(void);

/* Called before the process limits itself (RLIMIT_AS, RLIMIT_DATA) or locks its memory (mlockall): gives up reserved,
 * unused address space; from then on the heap takes memory piece by piece. No effect in a child that shares the
 * process's memory (vfork), or with confine=off. */
void engine_confine(void);

/* The system has refused memory: engine_confine, if it would also refuse the smallest huge block. The process may have
 * been limited by another one, or by a call that the library does not see. True if the reservation is given up: what
 * was refused is worth another try. */
bool engine_confine_if_refused(void);

/* The program has used madvise or mlock on size bytes from start: the effect, which would outlive its blocks, ends with
 * them. No effect with advice=off, or outside the heap. */
void engine_advised(const void *start, size_t size);

/* The handler of the soft limit (heap_limit.h), as mems_on_limit in mems.h takes it; may be NULL. */
typedef void engine_limit_handler(size_t held, size_t limit, void *context);
void engine_on_limit(engine_limit_handler *call, void *context);

/* Whether new blocks of the largest sizes get their own mappings (the default), or the window while it has room. */
void engine_set_mapping(bool maps);

/* No other thread may be running. */
bool engine_valid(const char **why);

/* The engine's statistics; see mems_engine_stats in mems.h. */
struct mems_engine_stats;
void engine_stats(struct mems_engine_stats *stats);

/* The options; see mems_option_set and mems_option_get in mems.h. */
int engine_option_set(const char *name, const char *value);
int engine_option_get(const char *name, char *value, size_t size);
