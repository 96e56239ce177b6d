/*
 * backend.h - the heap behind malloc, in one set of words for both libraries.
 *
 * The sources of the malloc family are compiled once for each library: libmems, where the engine is the heap, and, with
 * BACKEND_HMM defined, libhmm, where HMM is. Here the operations are named; what they promise is said in
 * engine/engine.h and in hmm/heap.h, in the same terms. `operation` is the name of the function that was called.
 */
#ifndef MEMS_API_BACKEND_H
#define MEMS_API_BACKEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"

#ifdef BACKEND_HMM

#include "hmm/heap.h"

#define backend_alloc(size) hmm_alloc(&hmm_heap, size)
#define backend_alloc_zeroed(count, size) hmm_alloc_zeroed(&hmm_heap, count, size)
#define backend_alloc_aligned(alignment, size) hmm_alloc_aligned(&hmm_heap, alignment, size)
#define backend_free(operation, block) hmm_free(&hmm_heap, operation, block)
#define backend_free_sized(operation, block, size, alignment) \
    hmm_free_sized(&hmm_heap, operation, block, size, alignment)
#define backend_realloc(operation, block, size) hmm_realloc(&hmm_heap, operation, block, size)
#define backend_usable_size(operation, block) hmm_usable_size(&hmm_heap, operation, block)
#define backend_trim(pad) hmm_trim(&hmm_heap, pad)

/* What malloc, free, new and delete themselves are. HMM has no faster way for what is at hand. */
#define backend_fast_alloc backend_alloc
#define backend_fast_free backend_free
#define backend_fast_alloc_or(size, slow) slow(size)
#define backend_fast_free_sized(block, size) ((void)(block), (void)(size), false)

#else

#include "engine/engine.h"
#include "engine/fast_path.h"

#define backend_alloc engine_alloc
#define backend_alloc_zeroed engine_alloc_zeroed
#define backend_alloc_aligned engine_alloc_aligned
#define backend_free(operation, block) engine_free(block)
#define backend_free_sized engine_free_sized
#define backend_realloc engine_realloc
#define backend_usable_size engine_usable_size
#define backend_trim(pad) engine_trim()

#define backend_fast_alloc fast_alloc
#define backend_fast_free(operation, block) fast_free(block)
#define backend_fast_alloc_or fast_alloc_or
#define backend_fast_free_sized fast_free_sized

#endif

/* Free blocks of from..to bytes, cached ones included. */
struct backend_row {
    size_t from;
    size_t to;
    size_t count; /* number */
    size_t bytes;
};
#define BACKEND_ROWS 96

/* The state of the heap: used + cached + free = held. Bytes, where nothing else is said. */
struct backend_figures {
    size_t held;          /* from the system, mapped blocks apart */
    size_t peak;          /* the most of it that has been held, or more */
    size_t used;          /* in users' hands, with what lies around their blocks */
    size_t cached;        /* in freed blocks that are ready to be handed out */
    size_t free;          /* all other free memory */
    size_t cached_blocks; /* number */
    size_t free_blocks;   /* number */
    size_t mapped;        /* in blocks with a mapping of their own */
    size_t mapped_blocks; /* number */
    size_t trimmable;     /* part of free: malloc_trim would give it back */
    size_t reserved;      /* address space */
    size_t accessible;    /* the part of reserved that is readable and writable */
    size_t row_count;     /* number: rows that are filled in, in order of size */
    struct backend_row rows[BACKEND_ROWS];
};
void backend_figures(struct backend_figures *figures);

/* Writes the heap's statistics to a file descriptor, as a table for people. Allocates nothing. */
void backend_report(int fd);

/* Whether dlopen shall pass RTLD_DEEPBIND on (the option deepbind). */
bool backend_keeps_deepbind(void);

/* When free memory shall go back to the system from now on, and whether blocks shall have mappings of their own; a heap
 * that has no such choice takes no notice. */
enum backend_trim { BACKEND_TRIM_ALWAYS, BACKEND_TRIM_NEVER };
void backend_set_trim(enum backend_trim trim);
void backend_set_mapping(bool maps);

#endif
