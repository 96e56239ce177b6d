/*
 * block.h - a block of the heap: its header, its neighbours, and how damage to them is noticed.
 *
 *           +--------+-------------------------------------------+
 *   used    | header | the user's bytes                          |
 *           +--------+------+-------+----------------------------+
 *   cached  | header | link | check | what the user left         |
 *           +--------+------+-------+--------+-----------+--------+
 *   free    | header | next | prev  | grains | leftovers | footer |
 *           +--------+------+-------+--------+-----------+--------+
 *
 * Everything is a machine word or several. The user's bytes are aligned to two words, which is the grain that sizes are
 * counted in: 16 bytes on a 64-bit machine, 8 on a 32-bit one. Blocks lie side by side: where one ends the next one's
 * header begins. The header is one word:
 *
 *   checksum | size in bytes, a multiple of the grain (HMM_SIZE_BITS bits, the lowest of which are) CACHED PREV_USED
 * USED
 *
 * The footer is the size of a free block in grains, so that the block behind finds its start; it looks for it only
 * while its own PREV_USED is clear. In the smallest block `grains`, at the same place, is the footer.
 *
 * A used block belongs to the user. A cached block is free for the user and on a quick list; to its neighbours it is
 * used. A free block is in the free list, and no two free blocks touch.
 */
#ifndef MEMS_HMM_BLOCK_H
#define MEMS_HMM_BLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bits.h"
#include "config.h"
#include "word.h"

#define BLOCK_HEADER sizeof(uintptr_t)
#define BLOCK_ALIGN (2 * BLOCK_HEADER) /* of what the user gets: the grain */
#define BLOCK_ALIGN_BITS (BLOCK_HEADER == 8 ? 4u : 3u)
#define BLOCK_MIN (4 * BLOCK_HEADER)

#define BLOCK_USED ((uintptr_t)1)      /* for its neighbours: not to be merged with */
#define BLOCK_PREV_USED ((uintptr_t)2) /* so is the block before it */
#define BLOCK_CACHED ((uintptr_t)4)    /* on a quick list; USED as well */
#define BLOCK_STATE (BLOCK_USED | BLOCK_PREV_USED | BLOCK_CACHED)

/* The header's lower bits are its tag: size and state. The checksum lies above them. */
#define BLOCK_TAG (((uintptr_t)1 << HMM_SIZE_BITS) - 1)
#define BLOCK_SIZE_MAX ((size_t)(BLOCK_TAG & ~(uintptr_t)(BLOCK_ALIGN - 1)))

/* With tags each used block ends in a word that says who allocated it. */
#ifdef HMM_TAGS
#define BLOCK_SITE sizeof(const char *)
#else
#define BLOCK_SITE ((size_t)0)
#endif

struct block {
    uintptr_t header;
    union {
        struct {                /* free */
            struct block *next; /* in its bin; block_list_end for the last */
            struct block *prev; /* block_list_end for the first */
            uintptr_t grains;   /* the block's size */
        };
        struct {                /* cached */
            struct block *link; /* the next one of its quick list; NULL for the last */
            uintptr_t check;    /* block_check */
        };
    };
};

_Static_assert(sizeof(struct block) == BLOCK_MIN, "in the smallest block the last word is its footer");
_Static_assert(HMM_SIZE_BITS <= WORD_BITS - 8, "a checksum has 8 bits or more");

/* A number that differs from process to process, so that no data can pass for a header by luck twice. */
extern uintptr_t hmm_block_secret __attribute__((visibility("hidden")));

/* The factor is the golden ratio's. Of each KEY_STEP bits of a key one is set and the one above it is not. */
#if UINTPTR_MAX > UINT32_MAX
#define BLOCK_MIX ((uintptr_t)UINT64_C(0x9e3779b97f4a7c15))
#define BLOCK_KEY_SET ((uintptr_t)UINT64_C(0x1001001001001001))
#else
#define BLOCK_MIX ((uintptr_t)UINT32_C(0x9e3779b1))
#define BLOCK_KEY_SET ((uintptr_t)UINT32_C(0x01010101))
#endif

/*
 * The header of a block at this address with this tag. The checksum is the upper bits of tag times key, where the key
 * follows from address and secret: so a change of the tag changes the checksum by what only the secret tells, and
 * another block's header tells nothing. The bits that every key has make sure that no single wrong bit goes unnoticed.
 */
static inline uintptr_t block_product(const struct block *block, uintptr_t tag) {
    uintptr_t mixed = ((uintptr_t)block ^ hmm_block_secret) * BLOCK_MIX;
    uintptr_t key = (word_rotate(mixed, WORD_BITS / 2) | BLOCK_KEY_SET) & ~(BLOCK_KEY_SET << 1);
    return (mixed + tag) * key;
}

static inline uintptr_t block_seal(const struct block *block, uintptr_t tag) {
    return block_product(block, tag) >> HMM_SIZE_BITS << HMM_SIZE_BITS | tag;
}

static inline uintptr_t block_tag(const struct block *block) {
    return block->header & BLOCK_TAG;
}

static inline void block_set_tag(struct block *block, uintptr_t tag) {
    block->header = block_seal(block, tag);
}

/* Whether the header is as the heap wrote it. */
static inline bool block_sound(const struct block *block) {
    return (block->header ^ block_product(block, block_tag(block))) >> HMM_SIZE_BITS == 0;
}

/* A header that becomes part of another block passes for none from then on: no tag is 0. */
static inline void block_forget(struct block *block) {
    block->header = 0;
}

/* What a cached block keeps beside its link: nobody who overwrites the link can make up for it. */
static inline uintptr_t block_check(const struct block *block, const struct block *link) {
    return (uintptr_t)link ^ (uintptr_t)block ^ hmm_block_secret;
}

static inline size_t block_size(const struct block *block) {
    return (size_t)(block->header & BLOCK_TAG & ~(uintptr_t)(BLOCK_ALIGN - 1));
}

/* The bytes that its user may write. */
static inline size_t block_room(const struct block *block) {
    return block_size(block) - BLOCK_HEADER - BLOCK_SITE;
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
static inline uintptr_t *block_footer_before(struct block *block) {
    return (uintptr_t *)(void *)((char *)block - sizeof(uintptr_t));
}

#ifdef HMM_TAGS
static inline const char **block_site(struct block *block) {
    return (const char **)(void *)((char *)block + block_size(block) - BLOCK_SITE);
}
#endif

/* The size of the block that serves a request; the caller rules out overflow. */
static inline size_t block_size_for(size_t request) {
    size_t size = round_up(request + BLOCK_HEADER + BLOCK_SITE, BLOCK_ALIGN);
    return size > BLOCK_MIN ? size : BLOCK_MIN;
}

#endif
