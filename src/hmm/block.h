/*
 * block.h - a block of the heap: its header, its neighbours, and how damage to them is detected.
 *
 *           +--------+-------------------------------------------+
 *   used    | header | the user's bytes                          |
 *           +--------+------+-------+----------------------------+
 *   cached  | header | link | check | what the user left         |
 *           +--------+------+-------+--------+-----------+--------+
 *   free    | header | next | prev  | grains | leftovers | footer |
 *           +--------+------+-------+--------+-----------+--------+
 *
 * Each field is a machine word. The user's bytes are aligned to two words, the grain in which sizes are counted: 16
 * bytes on a 64-bit machine, 8 on a 32-bit one. Blocks are adjacent. The header is
 *
 *   checksum | size in bytes, in HMM_SIZE_BITS bits, the lowest of which are CACHED PREV_USED USED
 *
 * The footer is a free block's size in grains, by which the next block finds its start; read only while that block's
 * PREV_USED is clear. In the smallest block `grains` is in its place.
 *
 * A used block belongs to the user. A cached block is on a quick list, and its neighbours treat it as used. A free
 * block is in the free list; no two free blocks are adjacent.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bits.h"
#include "base/compiler.h"
#include "config.h"
#include "word.h"

#define BLOCK_HEADER sizeof(uintptr_t)
#define BLOCK_ALIGN (2 * BLOCK_HEADER) /* the grain */
#define BLOCK_ALIGN_BITS (BLOCK_HEADER == 8 ? 4u : 3u)
#define BLOCK_MIN (4 * BLOCK_HEADER)

#define BLOCK_USED ((uintptr_t)1)      /* neighbours must not merge it */
#define BLOCK_PREV_USED ((uintptr_t)2) /* the block before is used */
#define BLOCK_CACHED ((uintptr_t)4)    /* on a quick list; USED is set too */
#define BLOCK_STATE (BLOCK_USED | BLOCK_PREV_USED | BLOCK_CACHED)

/* The header's lower bits are the tag, size and state; the checksum is above. */
#define BLOCK_TAG (((uintptr_t)1 << HMM_SIZE_BITS) - 1)
#define BLOCK_SIZE_MAX ((size_t)(BLOCK_TAG & ~(uintptr_t)(BLOCK_ALIGN - 1)))

/* Each used block ends in a word that says where it was allocated. */
#ifdef HMM_TAGS
#define BLOCK_SITE sizeof(const char *)
#else
#define BLOCK_SITE ((size_t)0)
#endif

struct block {
    uintptr_t header;
    union {
        struct {                /* free */
            struct block *next; /* in its bin; heap_list_end() for the last */
            struct block *prev; /* heap_list_end() for the first */
            uintptr_t grains;   /* the block's size */
        };
        struct {                /* cached */
            struct block *link; /* on its quick list; NULL for the last */
            uintptr_t check;    /* block_check */
        };
    };
};

_Static_assert(sizeof(struct block) == BLOCK_MIN, "in the smallest block the last word is its footer");
_Static_assert(HMM_SIZE_BITS <= WORD_BITS - 8, "a checksum has 8 bits or more");

/* Differs between processes, so data that passes for a header by chance does so only once. */
extern uintptr_t hmm_block_secret __attribute__((visibility("hidden")));

/* Relaxed: whoever reads it has seen that it is set (hmm_region_start). */
static inline uintptr_t block_secret(void) {
    return __atomic_load_n(&hmm_block_secret, __ATOMIC_RELAXED);
}

/* A multiple of the golden ratio. In each KEY_STEP bits of a key, one bit is set and the one above it is clear. */
#if UINTPTR_MAX > UINT32_MAX
#define BLOCK_MIX ((uintptr_t)UINT64_C(0x9e3779b97f4a7c15))
#define BLOCK_KEY_SET ((uintptr_t)UINT64_C(0x1001001001001001))
#else
#define BLOCK_MIX ((uintptr_t)UINT32_C(0x9e3779b1))
#define BLOCK_KEY_SET ((uintptr_t)UINT32_C(0x01010101))
#endif

struct key_constants {
    uintptr_t mix, set, keep;
};
#define KEY_CONSTANTS \
    { BLOCK_MIX, BLOCK_KEY_SET, ~(BLOCK_KEY_SET << 1) }

/* In memory, where an instruction has no room for such a constant but can take it from there. */
#if UINTPTR_MAX > UINT32_MAX
extern const struct key_constants hmm_key_constants __attribute__((visibility("hidden")));
#else
static const struct key_constants hmm_key_constants = KEY_CONSTANTS;
#endif

/* The part of a checksum that depends on the block's address and the secret, not on the tag. It is half of the work, so
 * code that proves a header and rewrites it computes it once. With -Os the key is empty; key_product does it all. */
struct block_key {
#ifndef __OPTIMIZE_SIZE__
    uintptr_t mixed;
    uintptr_t factor;
#endif
};

static inline uintptr_t block_mixed(const struct block *block) {
    return ((uintptr_t)block ^ block_secret()) * hmm_key_constants.mix;
}

static inline uintptr_t block_factor(uintptr_t mixed) {
    return (word_rotate(mixed, WORD_BITS / 2) | hmm_key_constants.set) & hmm_key_constants.keep;
}

/* A block's header, from its key and tag. The checksum is the upper bits of tag times factor: without the secret nobody
 * can predict how a change of the tag changes it, and another block's header does not help. The factor's fixed bits
 * guarantee that a single flipped bit is detected. */
#ifdef __OPTIMIZE_SIZE__
static inline struct block_key block_key(const struct block *block) {
    (void)block;
    return (struct block_key){};
}

__attribute__((unused)) static NOINLINE uintptr_t key_product(const struct block *block, struct block_key key,
                                                              uintptr_t tag) {
    (void)key;
    uintptr_t mixed = block_mixed(block);
    return (mixed + tag) * block_factor(mixed);
}
#else
static inline struct block_key block_key(const struct block *block) {
    uintptr_t mixed = block_mixed(block);
    return (struct block_key){mixed, block_factor(mixed)};
}

static inline uintptr_t key_product(const struct block *block, struct block_key key, uintptr_t tag) {
    (void)block;
    return (key.mixed + tag) * key.factor;
}
#endif

static inline uintptr_t key_seal(const struct block *block, struct block_key key, uintptr_t tag) {
    return key_product(block, key, tag) >> HMM_SIZE_BITS << HMM_SIZE_BITS | tag;
}

static inline uintptr_t block_seal(const struct block *block, uintptr_t tag) {
    return key_seal(block, block_key(block), tag);
}

static inline uintptr_t block_tag(const struct block *block) {
    return block->header & BLOCK_TAG;
}

static inline void block_set_tag(struct block *block, uintptr_t tag) {
    block->header = block_seal(block, tag);
}

/* Whether the header is as the heap wrote it. */
static inline bool block_fits(const struct block *block, struct block_key key) {
    return (block->header ^ key_product(block, key, block_tag(block))) >> HMM_SIZE_BITS == 0;
}

static inline bool block_sound(const struct block *block) {
    return block_fits(block, block_key(block));
}

/* For a header that becomes part of another block: no valid tag is 0. */
static inline void block_forget(struct block *block) {
    block->header = 0;
}

/* Beside a cached block's link; a stray write to the link cannot produce it. The link is rotated, or exchanged words,
 * or the same bit flipped in both, would pass. */
#define BLOCK_CHECK_TURN (WORD_BITS / 4)
static inline uintptr_t block_check(const struct block *block, const struct block *link) {
    return word_rotate((uintptr_t)link, BLOCK_CHECK_TURN) ^ (uintptr_t)block ^ block_secret();
}

static inline size_t block_size(const struct block *block) {
    return (size_t)(block->header & BLOCK_TAG & ~(uintptr_t)(BLOCK_ALIGN - 1));
}

static inline size_t block_room(const struct block *block) {
    return block_size(block) - BLOCK_HEADER - BLOCK_SITE;
}

static inline struct block *block_at(void *start) {
    return start;
}

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

/* Where a free block that ends at `block` stores its size in grains. */
static inline uintptr_t *block_footer_before(struct block *block) {
    return (uintptr_t *)(void *)((char *)block - sizeof(uintptr_t));
}

#ifdef HMM_TAGS
static inline const char **block_site(struct block *block) {
    return (const char **)(void *)((char *)block + block_size(block) - BLOCK_SITE);
}
#endif

/* For a user's request. The caller must rule out overflow. */
static inline size_t block_size_for(size_t request) {
    size_t size = round_up(request + BLOCK_HEADER + BLOCK_SITE, BLOCK_ALIGN);
    return size > BLOCK_MIN ? size : BLOCK_MIN;
}
