/* huge.h - the largest blocks: each has its own mapping outside the window, and is found through the range tree. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/range_tree.h"
#include "os/lock.h"

/* From this size on, blocks are huge (large if mapping fails), and smaller ones too once the window is full: take_big
 * in calls/supply_big.c decides. */
#define HUGE_MIN ((size_t)64 << 20)

/* How many freed blocks are remembered, for reports on stray pointers. */
#define HUGE_REMEMBERED 16u

struct sample;

/* The mapping is node.start .. node.last. */
struct huge {
    struct range_node node;
    size_t requested;      /* bytes requested */
    bool advised;          /* see advice.h */
    uint32_t origin;       /* enum origin (engine.h), with harden=full; HUGE_UNSEALED: no canary yet */
    bool fenced;           /* a guard follows the block */
    bool reserved;         /* it was freed, and its addresses are kept (huge_table.freed) */
    struct huge *next;     /* the next stuck block */
    struct sample *sample; /* the sample that the block is (sampled_block.h), or NULL */
};

#define HUGE_UNSEALED UINT32_MAX

/* All under `lock`. */
struct huge_table {
    struct lock lock;
    struct range_tree live;
    size_t bytes;       /* of the live blocks */
    size_t guard;       /* minimum bytes of a guard behind each block; set at the start */
    _Atomic bool exact; /* see huge_be_exact (relaxed) */
    struct huge *stuck; /* freed blocks that could not be unmapped (too many mappings); tried again later */
    struct {
        uintptr_t start;
        uintptr_t last;
    } freed[HUGE_REMEMBERED];
    bool reserved[HUGE_REMEMBERED]; /* with guards behind blocks: the freed one's addresses are still ours, and fault */
    unsigned freed_next;
};

extern struct huge_table huge_table;

/* A zeroed block of at least `size` bytes at a multiple of `alignment`; NULL if there is no memory. */
void *huge_alloc(size_t size, size_t alignment);

/* From now on no mapping is more than a page longer than its block, because the process may lock little memory. */
void huge_be_exact(void);

/* Whether a block should be huge, however small, because it would lock much more memory than it needs in a span. */
bool huge_saves_locked(size_t size);

/* Frees a block; false if no live one starts here. */
bool huge_free(void *block);

/* Gives up the addresses of freed blocks, when memory is short. */
void huge_give_addresses(void);

/* Resizes a live block. *resized is its new place, or NULL if there is no memory. False if no live block starts
 * here. */
bool huge_resize(void *block, size_t size, void **resized);

/* Stores a sample (or NULL) for a live block; returns the previous one, or NULL if no block starts here. */
struct sample *huge_keep_sample(const void *block, struct sample *sample);

/* The bytes requested for the live block that starts here; 0 if there is none. */
size_t huge_requested(const void *block);

/* Records the program's advice on a range of addresses; whether it has given some on the live block that starts here.
 */
void huge_note_advice(const void *start, size_t size);
bool huge_advised(const void *block);

/* The origin of the live block that starts here. It is set once the block has a canary, after it was allocated or
 * resized. */
unsigned huge_origin(const void *block);
void huge_set_origin(const void *block, unsigned origin);

/* The first live block with a canary for which intact(start, bytes requested) is false, or NULL; and its size. Holds
 * the lock, so no block ends meanwhile; looks at up to 64 blocks. */
void *huge_find_broken(bool (*intact)(const void *start, size_t size), size_t *size);

/* The live (or, for a report, recently freed) block that contains an address; false if there is none. A live block's
 * size is what its user may write: behind its last page there may be a guard. */
bool huge_find(const void *address, uintptr_t *start, size_t *size);
bool huge_find_freed(const void *address, uintptr_t *start, size_t *size);

/* The address behind the mapping of the live block that starts here; 0 if there is none. */
uintptr_t huge_end(const void *block);
