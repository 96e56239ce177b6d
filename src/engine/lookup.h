/*
 * lookup.h - what an address is: the one place where a pointer is turned into a slot, a large or a huge block.
 */
#ifndef MEMS_ENGINE_LOOKUP_H
#define MEMS_ENGINE_LOOKUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum block_kind {
    BLOCK_OUTSIDE,  /* of the heap: another allocator's, a stack's, static data */
    BLOCK_METADATA, /* in the engine's own tables */
    BLOCK_UNUSED,   /* in the window, in a unit that never was part of a span */
    BLOCK_FREE,     /* in a free span */
    BLOCK_TAIL,     /* in a slab, past its last slot */
    BLOCK_SLOT,
    BLOCK_LARGE,
    BLOCK_HUGE,
    BLOCK_HUGE_FREED /* was in one of the huge blocks freed of late */
};

enum block_state {
    BLOCK_STATE_LIVE,
    BLOCK_STATE_CACHED, /* in a magazine or the depot */
    BLOCK_STATE_REMOTE, /* freed by a thread that does not own it, not collected yet */
    BLOCK_STATE_FREE
};

struct block {
    enum block_kind kind;
    enum block_state state; /* of a slot, a large or a huge block */
    uintptr_t start;        /* of the slot, the large or huge block, or the free span */
    size_t size;            /* of the same, in bytes */
    unsigned size_class;    /* of a slot or tail */
    uint32_t slot;
};

/* What an address is. Takes the lock of the huge blocks for an address outside the window. */
struct block block_at(const void *address);

/* Whether the address is the start of a live block. */
static inline bool block_is_live_start(const struct block *block, const void *address) {
    return block->kind >= BLOCK_SLOT && block->kind <= BLOCK_HUGE && block->state == BLOCK_STATE_LIVE &&
           block->start == (uintptr_t)address;
}

/*
 * The class of the slab in which a live block starts at this address, whichever heap has it; SIZE_CLASSES when it is
 * something else, or no block at all. Takes no lock.
 */
unsigned lookup_slot_class(const void *block);

#endif
