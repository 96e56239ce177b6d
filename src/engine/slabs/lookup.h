/* lookup.h - the only place that turns an address into a slot, a large or a huge block. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum block_kind {
    BLOCK_OUTSIDE,  /* not in the heap: another allocator's, a stack, static data */
    BLOCK_METADATA, /* in the engine's own tables */
    BLOCK_UNUSED,   /* in the window, in a unit that was never part of a span */
    BLOCK_FREE,     /* in a free span */
    BLOCK_TAIL,     /* in a slab, past its last slot */
    BLOCK_SLOT,
    BLOCK_SAMPLE, /* a sampled small block, or within a page of its end */
    BLOCK_LARGE,
    BLOCK_HUGE,
    BLOCK_HUGE_FREED /* in a huge block that was freed recently */
};

enum block_state {
    BLOCK_STATE_LIVE,
    BLOCK_STATE_CACHED,      /* in a magazine or the depot */
    BLOCK_STATE_QUARANTINED, /* freed, and not reused for a while; the memory of a large block is fenced */
    BLOCK_STATE_REMOTE,      /* freed by a thread that does not own it, and not collected yet */
    BLOCK_STATE_FREE         /* of a sample: in quarantine */
};

struct block {
    enum block_kind kind;
    enum block_state state; /* of a slot, a large or a huge block */
    uintptr_t start;        /* of the slot, the large or huge block, or the free span */
    size_t size;            /* of the same, in bytes */
    unsigned size_class;    /* of a slot or tail */
    uint32_t slot;
};

/* Describes an address. Takes the lock of the huge blocks for an address outside the window. */
struct block block_at(const void *address);

/* Whether the address is the start of a live block. */
static inline bool block_is_live_start(const struct block *block, const void *address) {
    return block->kind >= BLOCK_SLOT && block->kind <= BLOCK_HUGE && block->state == BLOCK_STATE_LIVE &&
           block->start == (uintptr_t)address;
}

/* The class of the slab, in any heap, in which a live block starts at this address; otherwise SIZE_CLASSES. No lock. */
unsigned lookup_slot_class(const void *block);

/* The bytes that were requested for the live large block that starts here; 0 if there is none. No lock. */
size_t lookup_large_requested(const void *block);
