/*
 * block.h - a block of the heap: its header, its neighbours, and how damage to them is noticed.
 *
 *            8 mod 16   0 mod 16: what the user gets
 *           +--------+-------------------------------------------+
 *   used    | header | the user's bytes                          |
 *           +--------+------+------------------------------------+
 *   cached  | header | link | what the user left                 |
 *           +--------+------+------+------+-------------+--------+
 *   free    | header | next | prev | size | leftovers   | footer |
 *           +--------+------+------+------+-------------+--------+
 *
 * Blocks lie side by side: where one ends the next one's header begins. The header is one word:
 *
 *   checksum (24 bits) | size in bytes, a multiple of 16 (36 bits) | 0 | CACHED | PREV_USED | USED
 *
 * The footer is the size of a free block in grains, so that the block behind finds its start; it looks for it only
 * while its own PREV_USED is clear. In the smallest block (of 64-bit machines) bins_node.size, at the same place and in
 * the same unit, is the footer.
 *
 * A used block belongs to the user. A cached block is free for the user and on a quick list; to its neighbours it is
 * used. A free block is in the free list, and no two free blocks touch.
 */
#ifndef MEMS_HMM_BLOCK_H
#define MEMS_HMM_BLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bins.h"
#include "base/bits.h"

#define BLOCK_ALIGN ((size_t)16) /* of what the user gets; also the grain in which sizes are counted */
#define BLOCK_HEADER sizeof(uint64_t)
#define BLOCK_MIN ((size_t)32)

#define BLOCK_USED UINT64_C(1)      /* for its neighbours: not to be merged with */
#define BLOCK_PREV_USED UINT64_C(2) /* so is the block before it */
#define BLOCK_CACHED UINT64_C(4)    /* on a quick list; USED as well */
#define BLOCK_STATE (BLOCK_USED | BLOCK_PREV_USED | BLOCK_CACHED)

/* The header's lower bits are its tag: size and state. The checksum lies above them. */
#define BLOCK_TAG_BITS 40u
#define BLOCK_TAG ((UINT64_C(1) << BLOCK_TAG_BITS) - 1)
#define BLOCK_SIZE_MAX ((UINT64_C(1) << BLOCK_TAG_BITS) - BLOCK_ALIGN)

struct block {
    uint64_t header;
    union {
        struct bins_node node; /* free */
        struct block *link;    /* cached: the next one of its quick list */
    };
};

_Static_assert(sizeof(struct block) <= BLOCK_MIN, "the smallest block holds the header and the links");
_Static_assert(offsetof(struct block, node.size) == BLOCK_MIN - sizeof(uint64_t) ||
                   sizeof(struct bins_node) + BLOCK_HEADER <= BLOCK_MIN - sizeof(uint64_t),
               "the footer of the smallest block is bins_node.size, or lies behind it");

/* A number that differs from process to process, so that no data can pass for a header by luck twice. */
extern uint64_t hmm_block_secret __attribute__((visibility("hidden")));

/*
 * The header of a block at this address with this tag. The checksum is the product's upper bits: each bit of tag,
 * address and secret reaches them. (The factor is 2^64 divided by the golden ratio.)
 */
static inline uint64_t block_seal(const struct block *block, uint64_t tag) {
    uint64_t mixed = ((uintptr_t)block ^ hmm_block_secret ^ tag) * UINT64_C(0x9e3779b97f4a7c15);
    return (mixed & ~BLOCK_TAG) | tag;
}

static inline uint64_t block_tag(const struct block *block) {
    return block->header & BLOCK_TAG;
}

static inline void block_set_tag(struct block *block, uint64_t tag) {
    block->header = block_seal(block, tag);
}

/* Whether the header is as the heap wrote it. */
static inline bool block_sound(const struct block *block) {
    return block->header == block_seal(block, block_tag(block));
}

/*
 * A used block's header that becomes part of another block passes for none from then on: no tag is 0. That of a free
 * block may stay: nothing but a block's own neighbours, which know better then, ever takes it for one.
 */
static inline void block_forget(struct block *block) {
    block->header = 0;
}

static inline size_t block_size(const struct block *block) {
    return (size_t)(block->header & BLOCK_TAG & ~(uint64_t)(BLOCK_ALIGN - 1));
}

/* The bytes that its user may write. */
static inline size_t block_room(const struct block *block) {
    return block_size(block) - BLOCK_HEADER;
}

static inline struct block *block_at(void *start) {
    return start;
}

/* The user's bytes: an address, since the heap's own view of them is not the user's. */
static inline void *block_payload(const struct block *block) {
    return (void *)((uintptr_t)block + BLOCK_HEADER);
}

static inline struct block *block_of(void *payload) {
    return block_at((char *)payload - BLOCK_HEADER);
}

static inline struct block *block_after(struct block *block, size_t size) {
    return block_at((char *)block + size);
}

static inline struct block *block_next(struct block *block) {
    return block_after(block, block_size(block));
}

/* Where a block that ends before `block` and is free has written its size in grains. */
static inline uint64_t *block_footer_before(struct block *block) {
    return (uint64_t *)(void *)((char *)block - sizeof(uint64_t));
}

static inline struct block *block_of_node(struct bins_node *node) {
    return block_at((char *)node - offsetof(struct block, node));
}

/* The size of the block that serves a request; the caller rules out overflow. */
static inline size_t block_size_for(size_t request) {
    size_t room = request > BLOCK_MIN - BLOCK_HEADER ? request : BLOCK_MIN - BLOCK_HEADER;
    return round_up(room + BLOCK_HEADER, BLOCK_ALIGN);
}

#endif
