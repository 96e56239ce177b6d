/*
 * engine.h - the engine's entry points: a general-purpose heap, whether or not it replaces the C library's malloc.
 *
 * Callable from any thread at any time: the engine starts itself. Allocations return NULL with errno ENOMEM beyond
 * memory or PTRDIFF_MAX; everything else keeps errno. Blocks are aligned to at least 16 bytes. A pointer that is not a
 * live block ends in a fault report (base/fault.h) that names `operation`, the public function that was called, or
 * "free".
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Contents undefined. For 0, a unique block of the smallest class. */
void *engine_alloc(size_t size);

/* For a function other than malloc, and for an alignment: with harden=full each block records its origin
 * (slot_record.h), with harden=light each large and huge one, and must be freed by a matching function. */
enum origin { ORIGIN_MALLOC, ORIGIN_NEW, ORIGIN_NEW_ARRAY, ORIGIN_NEW_ALIGNED, ORIGIN_NEW_ARRAY_ALIGNED, ORIGINS };
void *engine_alloc_as(enum origin origin, size_t size);
void *engine_alloc_aligned_as(enum origin origin, size_t alignment, size_t size);

/* Zeroed; NULL with ENOMEM if the product overflows. */
void *engine_alloc_zeroed(size_t count, size_t size);

/* `alignment` is a power of two. */
void *engine_alloc_aligned(size_t alignment, size_t size);

/* NULL is ignored; errno is unchanged. */
void engine_free(void *block);

/* Under another function's name, which in the hardened modes determines the kind of block that it takes. */
void engine_free_as(const char *operation, void *block);

/* `size` as last requested, `alignment` as requested (0: none). A block that cannot have come from that request is a
 * fault ("size mismatch"). */
void engine_free_sized(const char *operation, void *block, size_t size, size_t alignment);

/* Of an aligned delete. An alignment that cannot be the block's is a fault ("alignment mismatch"). */
void engine_free_aligned(const char *operation, void *block, size_t alignment);

/* Possibly moves the block, with its first min(old, new) bytes; on failure returns NULL and leaves the old one alone. A
 * NULL block is allocated; size 0 is the smallest size (the caller may free). */
void *engine_realloc(const char *operation, void *block, size_t size);

/* The writable bytes of a live block; 0 for NULL. */
size_t engine_usable_size(const char *operation, const void *block);

/* See mems_check_write in mems.h. */
void engine_check_write(const char *function, const void *address, size_t size);

/* Gives back all the free memory it can; returns the bytes. */
size_t engine_trim(void);

/* Before the process limits itself (RLIMIT_AS, RLIMIT_DATA) or locks its memory (mlockall): gives up reserved, unused
 * address space; from then on the heap takes memory piece by piece. No effect in a child that shares the process's
 * memory (vfork), or with confine=off. */
void engine_confine(void);

/* The same for a process that will be allowed this much address space and writable memory (SIZE_MAX: any). If it has
 * more even without the heap's free memory, nothing can be mapped afterwards, so the heap keeps that memory. */
void engine_confine_to(size_t addresses, size_t data);

/* Future memory will be locked, within a limit: blocks take no more than their pages. No effect with confine=off. */
void engine_save_locked(void);

/* The system has refused memory: calls engine_confine if even the smallest huge block would be refused. The process may
 * have been limited by another one, or by a call that we do not see. True if the reservation was given up, so that
 * another try is worthwhile. */
bool engine_confine_if_refused(void);

/* The system has refused the program memory for something else: the same, or, if the reservation was given up before,
 * all free memory goes back to the system. True if what was refused is worth another try. */
bool engine_make_room(void);

/* The program has used madvise or mlock here: the effect, which would outlive its blocks, ends with them. No effect
 * with advice=off, or outside the heap. */
void engine_advised(const void *start, size_t size);

/* The same after mprotect, unless it has made the pages accessible. Waits for no lock: a signal handler may call
 * mprotect for a block, and a garbage collector while all other threads, which may hold locks, are stopped. */
void engine_protected(const void *start, size_t size);

/* mems_on_limit in mems.h: the handler of the soft limit (heap_limit.h); may be NULL. */
typedef void engine_limit_handler(size_t held, size_t limit, void *context);
void engine_on_limit(engine_limit_handler *call, void *context);

/* Whether blocks of the largest sizes get their own mappings (the default), or the window while it has room. */
void engine_set_mapping(bool maps);

/* See mems_engine_stats in mems.h. */
struct mems_engine_stats;
void engine_stats(struct mems_engine_stats *stats);

/* See mems_option_set and mems_option_get in mems.h. */
int engine_option_set(const char *name, const char *value);
int engine_option_get(const char *name, char *value, size_t size);
