/*
 * leaf.h - the dictionary's data for a frame in which several PROCESSes have addresses.
 *
 * A leaf is read without the lock (dict.h): all of it is written with PUBLISH, and a reader relies only on its being a
 * cell of this kind. Most readers need one cache line, or two adjacent ones, and no branch that depends on where blocks
 * begin, so in a sequence of translations the processor fetches several lines at a time.
 *
 * A short leaf has room for 4 or 8 PROCESSes. Each has its *key*, the first granule that it has in the frame; its
 * *end*, the granule behind its last; and its *tag*. These are lanes of 16 bits, four in a word, so keys are compared
 * by arithmetic on words. Unused keys are LEAF_NO_KEY.
 *
 *   | physical | keys | ends | tags | ... nodes |
 *
 * A full leaf has a bit for each granule of the frame; those at which a PROCESS begins are set, and bit 0 also if one
 * began earlier. So a PROCESS's index is a number of bits.
 *
 *   | starts | counts of bits | nodes |
 *
 * In both, the sub nodes are at the end, in order.
 *
 * A reader of a full leaf would need three dependent cache lines. Unless blocks move, it uses a *map* of the frame
 * instead, in a pool of maps alone, which are dense: of used granules (struct leaf_map), or, if handles have
 * generations, of runs (struct leaf_runs).
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
#define LEAF_TAG_ALIVE (1u << LEAF_GENERATION_BITS)
#define LEAF_TAG_BITS (LEAF_GENERATION_BITS + 1)

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

/* The granules of a frame, as bits. */
#define FRAME_GRANULES ((unsigned)(FRAME / GRANULE))
#define FRAME_WORDS (FRAME_GRANULES / 64)

/* Of a short leaf. */
struct leaf {
    char *physical; /* where the frame's bytes are; NULL in a movable space */
    uint64_t lanes[];
};

/* Of a full leaf. A part is two words of starts; `before` has, for each part but the first, the number of PROCESSes
 * that begin in earlier parts, and then that of all. */
#define LEAF_PARTS 4u
#define LEAF_PART (FRAME_GRANULES / LEAF_PARTS)

struct full_leaf {
    uint64_t starts[FRAME_WORDS];
    uint16_t before[LEAF_PARTS];
};

ALWAYS_INLINE struct full_leaf *leaf_full(const struct leaf *leaf) {
    return (struct full_leaf *)(uintptr_t)leaf;
}

ALWAYS_INLINE uint64_t *leaf_starts(const struct leaf *leaf) {
    return leaf_full(leaf)->starts;
}

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

/* PROCESSes that begin at or before a granule. */
static inline size_t full_up_to(const struct leaf *leaf, uint16_t key) {
    const struct full_leaf *full = leaf_full(leaf);
    size_t part = key / LEAF_PART;
    uint64_t up_to = ~UINT64_C(0) >> (63 - key % 64);
    uint64_t upper = UINT64_C(0) - (key / 64 % 2); /* all bits or none: a branch would be unpredictable */
    size_t before = part > 0 ? OBSERVE(full->before[part - 1]) : 0;
    return before + count_bits_of_two(OBSERVE(full->starts[part * 2]) & (up_to | upper),
                                      OBSERVE(full->starts[part * 2 + 1]) & up_to & upper);
}

/* --- Both -------------------------------------------------------------------------------------------------------- */

/* PROCESSes that begin at or before a granule. Never exceeds the leaf's room, unless the leaf is being changed. */
ALWAYS_INLINE size_t leaf_up_to(const struct leaf *leaf, unsigned kind, uint16_t key) {
    return leaf_is_short(kind) ? short_up_to(leaf, kind, key) : full_up_to(leaf, key);
}

static inline size_t leaf_count(const struct leaf *leaf, unsigned kind) {
    return leaf_is_short(kind) ? short_up_to(leaf, kind, FRAME_GRANULES - 1)
                               : OBSERVE(leaf_full(leaf)->before[LEAF_PARTS - 1]);
}

/* A frame's place, and the form of its tags. */
struct leaf_frame {
    uintptr_t base;   /* the offset at which it begins */
    bool generations; /* tags have them */
};

/* Where a frame's bytes are, by any of its PROCESSes; NULL in a movable space. */
char *frame_physical(const struct sub_node *node, uintptr_t base);

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

/* --- Maps -------------------------------------------------------------------------------------------------------- */

/* If handles are plain addresses: the granules that belong to PROCESSes, except to doomed ones. */
struct leaf_map {
    uint64_t used[FRAME_WORDS];
};

_Static_assert(sizeof(struct leaf_map) == POOL_GRAIN, "a map fills a cache line");

ALWAYS_INLINE bool leaf_map_uses(const struct leaf_map *map, uint16_t key) {
    return (OBSERVE(map->used[key / 64]) >> key % 64 & 1) != 0;
}

/*
 * If handles have generations: the frame as *runs*. A run is a PROCESS's part of the frame, or what is between two.
 * Doomed PROCESSes do not count. These are two adjacent cache lines, which a reader fetches at the same time:
 *
 *   bounds      bits, set where a run begins, so always in granule 0;
 *   before      for each word of bounds: the number of runs that begin in earlier words, but at most RUNS_MANY;
 *   low, high   the tags of the first RUNS_TAGS runs, 8 and 4 bits of each; 0 between PROCESSes. Few runs have none.
 */
#define RUNS_TAGS ((size_t)37)
#define RUNS_MANY 255u

struct leaf_runs {
    uint64_t bounds[FRAME_WORDS];
    uint8_t before[FRAME_WORDS];
    uint8_t low[RUNS_TAGS];
    uint8_t high[(RUNS_TAGS + 1) / 2];
};

_Static_assert(sizeof(struct leaf_runs) == 2 * POOL_GRAIN, "runs fill two cache lines");
_Static_assert(LEAF_TAG_BITS <= 8 + 4, "low and high have a tag's bits");

/* The number of runs that begin at or before a granule; possibly less if more than RUNS_MANY. */
ALWAYS_INLINE size_t runs_up_to(const struct leaf_runs *runs, size_t key) {
    size_t word = key / 64;
    return OBSERVE(runs->before[word]) + count_bits(OBSERVE(runs->bounds[word]) << (63 - key % 64));
}

/* Of a run below RUNS_TAGS. */
ALWAYS_INLINE unsigned runs_tag(const struct leaf_runs *runs, size_t number) {
    unsigned pair = OBSERVE(runs->high[number / 2]);
    return (pair >> number % 2 * 4 & 0xf) << 8 | OBSERVE(runs->low[number]);
}

/* Makes a map agree with a full leaf. */
void leaf_map_fill(struct leaf_map *map, const struct leaf *leaf, unsigned kind, struct leaf_frame frame);
void leaf_runs_fill(struct leaf_runs *runs, const struct leaf *leaf, unsigned kind, struct leaf_frame frame);

/* Makes it agree after a change of the leaf that concerns a PROCESS, which it has or, if `removed`, had. */
void leaf_map_update(struct leaf_map *map, const struct leaf *leaf, struct leaf_frame frame,
                     const struct sub_node *node, bool removed);
void leaf_runs_update(struct leaf_runs *runs, const struct leaf *leaf, unsigned kind, struct leaf_frame frame,
                      const struct sub_node *node, bool removed);
