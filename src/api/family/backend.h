/* backend.h - the heap behind malloc, under one set of names for both libraries. The malloc family is compiled once for
 * each: for libmems, whose heap is the engine, and, with BACKEND_HMM defined, for libhmm. engine/engine.h,
 * hmm/hmm_alloc.h and hmm/hmm_options.h describe the operations; a heap ignores choices that it does not have.
 * `operation` is the function that was called. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#ifdef BACKEND_HMM

#include "hmm/advice.h"
#include "hmm/hmm_alloc.h"
#include "hmm/hmm_options.h"

#define backend_alloc(size) hmm_alloc(&hmm_heap, size)
#define backend_alloc_new(array, size) ((void)(array), hmm_alloc(&hmm_heap, size))
#define backend_alloc_new_aligned(array, alignment, size) ((void)(array), hmm_alloc_aligned(&hmm_heap, alignment, size))
#define backend_alloc_zeroed(count, size) hmm_alloc_zeroed(&hmm_heap, count, size)
#define backend_alloc_aligned(alignment, size) hmm_alloc_aligned(&hmm_heap, alignment, size)
#define backend_free(operation, block) hmm_free(&hmm_heap, operation, block)
#define backend_free_aligned(operation, block, alignment) ((void)(alignment), backend_free(operation, block))
#define backend_free_sized(operation, block, size, alignment) \
    hmm_free_sized(&hmm_heap, operation, block, size, alignment)
#define backend_realloc(operation, block, size) hmm_realloc(&hmm_heap, operation, block, size)
#define backend_usable_size(operation, block) hmm_usable_size(&hmm_heap, operation, block)
#define backend_trim(pad) hmm_trim(&hmm_heap, pad)
#define backend_confine hmm_confine
#define backend_save_locked() ((void)0) /* the break moves by pages */
#define backend_confine_to(addresses, data) ((void)(addresses), (void)(data), hmm_confine())
#define backend_advised(start, size, advice, over) ((void)(over), hmm_advised(start, size, advice))
#define backend_protected(start, size, open) hmm_advised(start, size, (open) ? HMM_OPENED : HMM_PROTECTED)
#define backend_limits_changed hmm_ask_limits
#define backend_keeps_deepbind hmm_keeps_deepbind
#define backend_set_trim(never) ((void)(never))
#define backend_set_mapping(maps) ((void)(maps))

/* The bodies of malloc, free, new and delete. HMM has no faster way. */
#define backend_fast_alloc backend_alloc
#define backend_fast_free backend_free
#define backend_fast_alloc_or(size, slow) slow(size)
#define backend_fast_free_sized(block, size) ((void)(block), (void)(size), false)

#else

#include "engine/calls/fast_path.h"
#include "engine/engine.h"

#define backend_alloc engine_alloc
#define backend_alloc_new(array, size) engine_alloc_as((array) ? ORIGIN_NEW_ARRAY : ORIGIN_NEW, size)
#define backend_alloc_new_aligned(array, alignment, size) \
    engine_alloc_aligned_as((array) ? ORIGIN_NEW_ARRAY_ALIGNED : ORIGIN_NEW_ALIGNED, alignment, size)
#define backend_alloc_zeroed engine_alloc_zeroed
#define backend_alloc_aligned engine_alloc_aligned
#define backend_free(operation, block) engine_free_as(operation, block)
#define backend_free_aligned engine_free_aligned
#define backend_free_sized engine_free_sized
#define backend_realloc engine_realloc
#define backend_usable_size engine_usable_size
#define backend_trim(pad) engine_trim()
#define backend_confine engine_confine
#define backend_save_locked engine_save_locked
#define backend_confine_to engine_confine_to
#define backend_advised(start, size, advice, over) ((over) ? (void)0 : engine_advised(start, size))
#define backend_protected(start, size, open) ((open) ? (void)0 : engine_protected(start, size))
#define backend_limits_changed() ((void)0) /* the engine does not query them again */
#define backend_set_trim(never) ((void)engine_option_set("decay_ms", (never) ? "4294967295" : "0"))
#define backend_set_mapping engine_set_mapping

/* The option deepbind. */
bool backend_keeps_deepbind(void);

#define backend_fast_alloc fast_alloc
#define backend_fast_free(operation, block) fast_free(operation, block)
#define backend_fast_alloc_or fast_alloc_or
#define backend_fast_free_sized fast_free_sized

#endif

/* Free blocks of from..to bytes, including cached ones. */
struct backend_row {
    size_t from;
    size_t to;
    size_t count; /* number */
    size_t bytes;
};
#define BACKEND_ROWS 96

/* In bytes unless noted: used + cached + free = held. */
struct backend_figures {
    size_t held;          /* from the system, without mapped blocks */
    size_t peak;          /* the most that has been held, or more */
    size_t used;          /* allocated, with the overhead of their blocks */
    size_t cached;        /* freed blocks, ready for use */
    size_t free;          /* all other free memory */
    size_t cached_blocks; /* number */
    size_t free_blocks;   /* number */
    size_t mapped;        /* in blocks with separate mappings */
    size_t mapped_blocks; /* number */
    size_t trimmable;     /* part of free, which malloc_trim would give back */
    size_t reserved;      /* address space */
    size_t accessible;    /* readable and writable, part of reserved */
};
void backend_figures(struct backend_figures *figures);

/* The same with the rows of free blocks, of the same moment, in order of size. */
struct backend_table {
    struct backend_figures figures;
    size_t row_count;
    struct backend_row rows[BACKEND_ROWS];
};
void backend_table(struct backend_table *table);

/* The heap's statistics as a table for people. Allocates nothing. Like the two above, it needs little of the stack. */
void backend_report(int fd);

/* Our malloc, which no other library can replace. */
void *family_malloc(size_t size);
