/*
 * leaf.h - what the dictionary says of a frame in which several PROCESSes have addresses.
 *
 * A leaf is read without the lock, as the dictionary is (dict.h): all of it is written by PUBLISH, and a reader takes
 * nothing for granted but that it is a cell of this kind.
 */
#ifndef MEMS_SPACE_LEAF_H
#define MEMS_SPACE_LEAF_H

#include "base/bits.h"
#include "node.h"

/* A frame, and the granule by which addresses in it are told. */
#define FRAME_BITS 12u
#define FRAME ((uintptr_t)1 << FRAME_BITS)
#define GRANULE 8u

/* The first virtual address of a space. */
#define MAIN_CHAIN_START 1000u

/* Addresses count from the first one on. */
static inline uintptr_t offset_of(uintptr_t v_address) {
    return v_address - MAIN_CHAIN_START;
}

static inline uint16_t key_of(uintptr_t offset) {
    return (uint16_t)((offset & (FRAME - 1)) / GRANULE);
}

/* What a tag says to a reader: 0 if no handle leads there, otherwise the generation as far as handles have it. */
#define LEAF_GENERATION_BITS 11u
#define LEAF_TAG_ALIVE 0x8000u

static inline uint16_t leaf_tag_of(uint32_t tag, bool generations) {
    uint32_t generation = generations ? tag >> SEGMENT_BITS & ((1u << LEAF_GENERATION_BITS) - 1) : 0;
    return (uint16_t)((tag & SEGMENT_MASK) == SEGMENT_PROCESS ? LEAF_TAG_ALIVE | generation : 0);
}

/*
 * The PROCESSes of a frame, in order. Of each there is
 *
 *   keys    the first granule that it has in the frame,
 *   facts   the granule behind its last, and the tag of its handles, 0 if it is doomed,
 *   nodes   the sub node;
 *
 * so that a reader need not go on to the sub node, another cache line, unless its bytes have a place of their own. They
 * have none in a space that is not movable: then all bytes of the frame lie at `physical`. The keys are those of the
 * frame's eight parts one after the other; those of part i begin at twice halves[i], or one behind it. Behind the last
 * key all are LEAF_NO_KEY, LEAF_PART_KEYS of them at least.
 *
 *   | physical | halves | count | keys | LEAF_NO_KEY .. | facts | ... nodes |
 */
#define LEAF_KINDS 11u /* of sizes */
#define LEAF_PARTS 8u

struct leaf {
    char *physical;
    uint8_t halves[LEAF_PARTS];
    uint16_t count;
    uint16_t keys[];
};

#define LEAF_NO_KEY INT16_MAX
#define LEAF_PART_KEYS 8u
#define LEAF_PART_BITS 6u

/* The leaves of a kind: the size of the cell, and for how many PROCESSes there is room. */
struct leaf_kind {
    uint16_t size;
    uint16_t room;
};

extern const struct leaf_kind leaf_kinds[LEAF_KINDS];

static inline size_t leaf_size(unsigned kind) {
    return leaf_kinds[kind].size;
}

static inline size_t leaf_room(unsigned kind) {
    return leaf_kinds[kind].room;
}

struct fact {
    uint16_t end;
    uint16_t tag;
};

static inline struct fact *leaf_facts(const struct leaf *leaf, unsigned kind) {
    return (struct fact *)((uintptr_t)leaf + offsetof(struct leaf, keys) +
                           (leaf_room(kind) + LEAF_PART_KEYS) * sizeof(uint16_t));
}

static inline struct sub_node **leaf_nodes(const struct leaf *leaf, unsigned kind) {
    return (struct sub_node **)((uintptr_t)leaf + leaf_size(kind)) - leaf_room(kind);
}

/*
 * How many of LEAF_PART_KEYS keys in order are at most `key`: all compared at once, without a jump that depends on
 * them, which could not be predicted. What follows depends on the number, so this load needs no order of its own.
 */
ALWAYS_INLINE size_t leaf_count_up_to(const uint16_t *keys, uint16_t key) {
#if defined(__SSE2__) && !defined(__SANITIZE_THREAD__)
    typedef short lanes __attribute__((vector_size(LEAF_PART_KEYS * sizeof(short)))); /* as the instruction's operand */
    typedef char bytes __attribute__((vector_size(sizeof(lanes))));
    lanes some;
    __builtin_memcpy(&some, keys, sizeof some);
    int above = __builtin_ia32_pmovmskb128((bytes)(some > (short)key)); /* two bits for each key */
    return lowest_bit((unsigned)above | 1u << 2 * LEAF_PART_KEYS) / 2;
#else
    size_t count = 0;
    for (size_t i = 0; i < LEAF_PART_KEYS; i++) {
        count += OBSERVE(keys[i]) <= key;
    }
    return count;
#endif
}

/* How many keys are at most `key`: those of the parts before its own, and some of that. Not more than there is room
 * for, but where a leaf is being changed meanwhile. */
ALWAYS_INLINE size_t leaf_keys_up_to(const struct leaf *leaf, unsigned kind, uint16_t key) {
    size_t room = leaf_room(kind);
    size_t index = (size_t)2 * OBSERVE(leaf->halves[key >> LEAF_PART_BITS]);
    size_t found = LEAF_PART_KEYS;
    while (found == LEAF_PART_KEYS && index < room) {
        found = leaf_count_up_to(&leaf->keys[index], key);
        index += found;
    }
    return index;
}

/* A cell becomes a leaf without entries, for the frame whose bytes are at `physical`; or one with those of another. */
void leaf_clear(struct leaf *leaf, unsigned kind, char *physical);
void leaf_fill(struct leaf *to, unsigned to_kind, const struct leaf *from, unsigned from_kind);

/* Adds a PROCESS to the leaf of the frame at the offset `base`, which has room; generations: tags have them. */
void leaf_insert(struct leaf *leaf, unsigned kind, uintptr_t base, struct sub_node *node, bool generations);

/* Takes out an entry. */
void leaf_remove(struct leaf *leaf, unsigned kind, size_t index);

/* The index of a PROCESS that is there. */
size_t leaf_index(const struct leaf *leaf, unsigned kind, uintptr_t base, const struct sub_node *node);

/* Says anew what is to be known of a PROCESS, all but its key. */
void leaf_describe(struct leaf *leaf, unsigned kind, size_t index, uintptr_t base, struct sub_node *node,
                   bool generations);

/* What is wrong with a leaf; NULL when nothing is. */
const char *leaf_flaw(const struct leaf *leaf, unsigned kind, uintptr_t base, bool generations);

#endif
