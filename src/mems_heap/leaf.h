/*
 * leaf.h - the dictionary's data for a frame in which several PROCESSes have addresses.
 *
 * A leaf is read without the lock (dict.h): all of it is written with PUBLISH, and a reader relies only on its being a
 * cell of this kind. Everything a reader needs is in one cache line, found without a branch that depends on where
 * blocks begin, so in a sequence of translations the processor fetches several lines at a time.
 *
 * A short leaf has room for 4 or 8 PROCESSes. Each has its *key*, the first granule that it has in the frame; its
 * *end*, the granule behind its last; and its *tag*. These are lanes of 16 bits, four in a word, so keys are compared
 * by arithmetic on words. Unused keys are LEAF_NO_KEY.
 *
 *   | physical | keys | ends | tags | ... nodes |
 *
 * A full leaf describes each quarter of the frame in a cache line (struct quarter).
 *
 *   | quarter | quarter | quarter | quarter | nodes |
 *
 * In both, the sub nodes are at the end, in order; readers need them only if blocks have separate places, as in a
 * movable space, where `physical` is NULL.
 */
#pragma once

#include "base/bits.h"
#include "node.h"

/* A frame, and the granule in which its addresses are counted. */
#define FRAME_BITS 12u
#define FRAME ((uintptr_t)1 << FRAME_BITS)
#define GRANULE 8u

/* A space's first virtual address. */
#define MAIN_CHAIN_START 1000u

/* Offsets count from the first address. */
static inline uintptr_t offset_of(uintptr_t v_address) {
    return v_address - MAIN_CHAIN_START;
}

static inline uint16_t key_of(uintptr_t offset) {
    return (uint16_t)((offset & (FRAME - 1)) / GRANULE);
}

/* A tag in a leaf: 0 if no handle leads there, otherwise the bits of the generation that handles have. */
#define LEAF_GENERATION_BITS 11u
#define LEAF_TAG_ALIVE 0x8000u

static inline uint16_t leaf_tag_of(uint32_t tag, bool generations) {
    uint32_t generation = generations ? tag >> SEGMENT_BITS & ((1u << LEAF_GENERATION_BITS) - 1) : 0;
    return (uint16_t)((tag & SEGMENT_MASK) == SEGMENT_PROCESS ? LEAF_TAG_ALIVE | generation : 0);
}

/* --- Kinds ------------------------------------------------------------------------------------------------------- */

/* They differ in their room; the first are short. */
#define LEAF_KINDS 11u
#define LEAF_SHORT_KINDS 2u
#define LEAF_SHORT_SHARE 16u /* bytes of a short leaf per PROCESS */

/* A cell's size, and its room in PROCESSes. */
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

static inline bool leaf_is_short(unsigned kind) {
    return kind < LEAF_SHORT_KINDS;
}

struct leaf {
    char *physical;   /* where the frame's bytes are; NULL in a movable space */
    uint64_t lanes[]; /* of a short leaf */
};

static inline struct sub_node **leaf_nodes(const struct leaf *leaf, unsigned kind) {
    return (struct sub_node **)((uintptr_t)leaf + leaf_size(kind)) - leaf_room(kind);
}

/* --- Short leaves ------------------------------------------------------------------------------------------------ */

#define LANES 4u
#define LANE_BITS 16u
#define LANE_ONES UINT64_C(0x0001000100010001)
#define LEAF_NO_KEY 0x7fffu

enum lane { LANE_KEY, LANE_END, LANE_TAG };

/* One word of keys for a room of 4, two for 8. */
#define SHORT_WORDS(kind) ((size_t)(kind) + 1)

ALWAYS_INLINE uint16_t lane_get(const struct leaf *leaf, unsigned kind, enum lane lane, size_t index) {
    uint64_t word = OBSERVE(leaf->lanes[lane * SHORT_WORDS(kind) + index / LANES]);
    return (uint16_t)(word >> index % LANES * LANE_BITS);
}

/* How many of four sorted keys are at most `key`: the sign of each difference, of 15 bits, is in its lane's top bit. */
ALWAYS_INLINE size_t lanes_up_to(uint64_t keys, uint16_t key) {
    uint64_t above = LANE_ONES << (LANE_BITS - 1);
    uint64_t at_most = ((key * LANE_ONES | above) - keys) & above;
    return (at_most >> (LANE_BITS - 1)) * LANE_ONES >> (LANES - 1) * LANE_BITS;
}

ALWAYS_INLINE size_t short_up_to(const struct leaf *leaf, unsigned kind, uint16_t key) {
    size_t count = lanes_up_to(OBSERVE(leaf->lanes[0]), key);
    return kind == 0 ? count : count + lanes_up_to(OBSERVE(leaf->lanes[1]), key);
}

/* --- Full leaves ------------------------------------------------------------------------------------------------- */

#define QUARTERS 4u
#define QUARTER (FRAME / QUARTERS)
#define QUARTER_GRANULES ((unsigned)(QUARTER / GRANULE))
#define QUARTER_TAGS 11u

/*
 * A quarter of a frame. PROCESS i of the leaf has addresses here if and only if
 *
 *   first <= i < first + the number of bits in starts.
 *
 * The bits of starts say at which granules these begin; one that began earlier has bit 0. The bits of used say which
 * granules belong to them, except to doomed ones. tags[n] is that of PROCESS first + n; sub nodes tell the others.
 */
struct quarter {
    char *physical; /* where the quarter's bytes are; NULL in a movable space */
    uint64_t starts[QUARTER_GRANULES / 64];
    uint64_t used[QUARTER_GRANULES / 64];
    uint16_t first;
    uint16_t tags[QUARTER_TAGS];
};

_Static_assert(sizeof(struct quarter) == POOL_GRAIN, "a quarter fills a cache line");
_Static_assert(QUARTER_GRANULES == 128, "the granules of a quarter take two words");

ALWAYS_INLINE struct quarter *leaf_quarter(const struct leaf *leaf, unsigned index) {
    return (struct quarter *)((uintptr_t)leaf + index * sizeof(struct quarter));
}

ALWAYS_INLINE struct quarter *leaf_quarter_of(const struct leaf *leaf, uint16_t key) {
    return leaf_quarter(leaf, key / QUARTER_GRANULES);
}

ALWAYS_INLINE bool quarter_uses(const struct quarter *quarter, uint16_t key) {
    return (OBSERVE(quarter->used[key / 64 % 2]) >> key % 64 & 1) != 0;
}

/* PROCESSes of a quarter that begin at or before a granule. */
ALWAYS_INLINE size_t quarter_up_to(const struct quarter *quarter, uint16_t key) {
    uint64_t up_to = ~UINT64_C(0) >> (63 - key % 64);
    uint64_t upper = UINT64_C(0) - (key / 64 % 2); /* all bits or none: a branch would be unpredictable */
    return count_bits_of_two(OBSERVE(quarter->starts[0]) & (up_to | upper),
                             OBSERVE(quarter->starts[1]) & up_to & upper);
}

/* The `used` bits of a full leaf's quarters, in order: a cache line. */
struct leaf_map {
    uint64_t used[FRAME / GRANULE / 64];
};

_Static_assert(sizeof(struct leaf_map) == POOL_GRAIN, "a map fills a cache line");

ALWAYS_INLINE bool leaf_map_uses(const struct leaf_map *map, uint16_t key) {
    return (OBSERVE(map->used[key / 64]) >> key % 64 & 1) != 0;
}

void leaf_map_fill(struct leaf_map *map, const struct leaf *leaf);

/* --- Both -------------------------------------------------------------------------------------------------------- */

/* PROCESSes that begin at or before a granule. Never exceeds the leaf's room, unless the leaf is being changed. */
ALWAYS_INLINE size_t leaf_up_to(const struct leaf *leaf, unsigned kind, uint16_t key) {
    if (leaf_is_short(kind)) {
        return short_up_to(leaf, kind, key);
    }
    const struct quarter *quarter = leaf_quarter_of(leaf, key);
    return OBSERVE(quarter->first) + quarter_up_to(quarter, key);
}

static inline size_t leaf_count(const struct leaf *leaf, unsigned kind) {
    return leaf_up_to(leaf, kind, FRAME / GRANULE - 1);
}

/* A frame's place, and the form of its tags. */
struct leaf_frame {
    uintptr_t base;   /* the offset at which it begins */
    bool generations; /* tags have them */
};

/* Makes a cell an empty leaf for the frame at `physical`. */
void leaf_clear(struct leaf *leaf, unsigned kind, char *physical);

/* Makes a cell a leaf with another's entries, for which it must have room. */
void leaf_fill(struct leaf *to, unsigned to_kind, const struct leaf *from, unsigned from_kind, struct leaf_frame frame);

/* The leaf must have room. */
void leaf_insert(struct leaf *leaf, unsigned kind, struct leaf_frame frame, struct sub_node *node);

void leaf_remove(struct leaf *leaf, unsigned kind, struct leaf_frame frame, const struct sub_node *node);

/* Updates the entry of a PROCESS whose end, tag or cell has changed; its cell is now `to`. */
void leaf_refresh(struct leaf *leaf, unsigned kind, struct leaf_frame frame, const struct sub_node *node,
                  struct sub_node *to);

/* What is wrong with a leaf, or NULL. */
const char *leaf_flaw(const struct leaf *leaf, unsigned kind, struct leaf_frame frame);
