/*
 * huge.h - the largest blocks: a mapping of its own each, outside the window, found through the range tree.
 */
#ifndef MEMS_ENGINE_HUGE_H
#define MEMS_ENGINE_HUGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/range_tree.h"
#include "os/lock.h"

/* Blocks from this size on are huge, and smaller ones once the window has no room for them. Where no mapping is to be
 * had they are tried as large blocks, too. */
#define HUGE_MIN ((size_t)64 << 20)

/* So many freed blocks are remembered, for reports of what a stray pointer was. */
#define HUGE_REMEMBERED 16u

/* The mapping is node.start .. node.last. */
struct huge {
    struct range_node node;
    size_t requested;  /* bytes that were asked for */
    struct huge *next; /* among the stuck */
};

/* All under `lock`. */
struct huge_table {
    struct lock lock;
    struct range_tree live;
    size_t bytes;       /* of the live blocks */
    struct huge *stuck; /* freed blocks that the system did not let us unmap (too many mappings); tried again later */
    struct {
        uintptr_t start;
        uintptr_t last;
    } freed[HUGE_REMEMBERED];
    unsigned freed_next;
};

extern struct huge_table huge_table;

/* A block of at least `size` bytes at a multiple of `alignment`, all zero. NULL when there is no memory. */
void *huge_alloc(size_t size, size_t alignment);

/* Frees a block. False when none is live that starts here. */
bool huge_free(void *block);

/* A live block at a new size, perhaps elsewhere: *resized, or NULL, and nothing changed, when there is no memory. False
 * when no live block starts here. */
bool huge_resize(void *block, size_t size, void **resized);

/* The bytes that were asked for, of the live block that starts here; 0: there is none. */
size_t huge_requested(const void *block);

/* The live (or, for a report, a recently freed) block that holds an address. False when none does. */
bool huge_find(const void *address, uintptr_t *start, size_t *size);
bool huge_find_freed(const void *address, uintptr_t *start, size_t *size);

#endif
