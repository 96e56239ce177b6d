#include "leaf.h"

#include "base/fault.h"

#define SHORT(size) \
    { (size), (size) / LEAF_SHORT_SHARE }
#define FULL(room) \
    { QUARTERS * sizeof(struct quarter) + (room) * sizeof(struct sub_node *), (room) }

const struct leaf_kind leaf_kinds[LEAF_KINDS] = {
    SHORT(64), SHORT(128), FULL(16), FULL(24), FULL(32), FULL(48), FULL(64), FULL(96), FULL(128), FULL(256), FULL(512),
};

_Static_assert(offsetof(struct leaf, lanes) + LANES * (3 * sizeof(uint16_t) + sizeof(struct sub_node *)) == POOL_GRAIN,
               "a short leaf with room for 4 PROCESSes fills a cache line");

/* A PROCESS's first granule in the frame or quarter at `base`, and the one behind its last. */
static unsigned key_in(const struct sub_node *node, uintptr_t base) {
    uintptr_t offset = offset_of(node->start);
    return offset > base ? (unsigned)((offset - base) / GRANULE) : 0;
}

static unsigned end_in(const struct sub_node *node, uintptr_t base, uintptr_t size) {
    uintptr_t end = offset_of(node->last) + 1 - base;
    return (unsigned)((end < size ? end : size) / GRANULE);
}

/* --- Short leaves ------------------------------------------------------------------------------------------------ */

static void lane_set(struct leaf *leaf, unsigned kind, enum lane lane, size_t index, unsigned value) {
    uint64_t *word = &leaf->lanes[lane * SHORT_WORDS(kind) + index / LANES];
    unsigned shift = index % LANES * LANE_BITS;
    PUBLISH(*word, (*word & ~(UINT64_C(0xffff) << shift)) | (uint64_t)value << shift);
}

static void short_describe(struct leaf *leaf, unsigned kind, size_t index, struct leaf_frame frame,
                           const struct sub_node *node) {
    lane_set(leaf, kind, LANE_KEY, index, key_in(node, frame.base));
    lane_set(leaf, kind, LANE_END, index, end_in(node, frame.base, FRAME));
    lane_set(leaf, kind, LANE_TAG, index, leaf_tag_of(node->tag, frame.generations));
}

static void short_move(struct leaf *leaf, unsigned kind, size_t to, size_t from) {
    for (enum lane lane = LANE_KEY; lane <= LANE_TAG; lane++) {
        lane_set(leaf, kind, lane, to, lane_get(leaf, kind, lane, from));
    }
}

static void short_vacate(struct leaf *leaf, unsigned kind, size_t index) {
    lane_set(leaf, kind, LANE_KEY, index, LEAF_NO_KEY);
    lane_set(leaf, kind, LANE_END, index, 0);
    lane_set(leaf, kind, LANE_TAG, index, 0);
}

/* --- Quarters ---------------------------------------------------------------------------------------------------- */

/* The bits from .. to - 1 of two words that are in this one. */
static uint64_t bits_between(unsigned word, unsigned from, unsigned to) {
    unsigned low = from > word * 64 ? from - word * 64 : 0;
    unsigned high = to > word * 64 ? to - word * 64 : 0;
    high = high < 64 ? high : 64;
    return low < high ? ~UINT64_C(0) >> (64 - (high - low)) << low : 0;
}

static void set_bits(uint64_t words[2], unsigned from, unsigned to) {
    for (unsigned word = 0; word < 2; word++) {
        PUBLISH(words[word], words[word] | bits_between(word, from, to));
    }
}

static void clear_bits(uint64_t words[2], unsigned from, unsigned to) {
    for (unsigned word = 0; word < 2; word++) {
        PUBLISH(words[word], words[word] & ~bits_between(word, from, to));
    }
}

/* At which a PROCESS begins; or that behind the quarter. */
static unsigned next_start(const struct quarter *quarter, unsigned key) {
    for (unsigned word = 0; word < 2; word++) {
        uint64_t later = quarter->starts[word] & bits_between(word, key + 1, QUARTER_GRANULES);
        if (later != 0) {
            return word * 64 + lowest_bit(later);
        }
    }
    return QUARTER_GRANULES;
}

static size_t quarter_count(const struct quarter *quarter) {
    return count_bits_of_two(quarter->starts[0], quarter->starts[1]);
}

static void quarter_add(struct quarter *quarter, size_t index, uintptr_t base, const struct sub_node *node,
                        uint16_t tag) {
    if (offset_of(node->last) < base) {
        PUBLISH(quarter->first, (uint16_t)(quarter->first + 1));
    } else if (offset_of(node->start) < base + QUARTER) {
        unsigned key = key_in(node, base);
        size_t rank = index - quarter->first;
        for (size_t i = QUARTER_TAGS; --i > rank;) {
            PUBLISH(quarter->tags[i], quarter->tags[i - 1]);
        }
        if (rank < QUARTER_TAGS) {
            PUBLISH(quarter->tags[rank], tag);
        }
        set_bits(quarter->starts, key, key + 1);
        set_bits(quarter->used, key, tag != 0 ? end_in(node, base, QUARTER) : key);
    }
}

/* Its end may have changed. `nodes` are the leaf's, still with this one. */
static void quarter_drop(struct quarter *quarter, size_t index, uintptr_t base, struct sub_node *const *nodes,
                         bool generations) {
    size_t count = quarter_count(quarter);
    if (index < quarter->first) {
        PUBLISH(quarter->first, (uint16_t)(quarter->first - 1));
    } else if (index < quarter->first + count) {
        unsigned key = key_in(nodes[index], base);
        for (size_t rank = index - quarter->first; rank < QUARTER_TAGS; rank++) {
            bool last = rank + 1 >= count;
            uint16_t tag = last                      ? 0
                           : rank + 1 < QUARTER_TAGS ? quarter->tags[rank + 1]
                                                     : leaf_tag_of(nodes[quarter->first + rank + 1]->tag, generations);
            PUBLISH(quarter->tags[rank], tag);
        }
        clear_bits(quarter->used, key, next_start(quarter, key));
        clear_bits(quarter->starts, key, key + 1);
    }
}

static void quarters_add(struct leaf *leaf, size_t index, struct leaf_frame frame, const struct sub_node *node) {
    uint16_t tag = leaf_tag_of(node->tag, frame.generations);
    for (unsigned i = 0; i < QUARTERS; i++) {
        quarter_add(leaf_quarter(leaf, i), index, frame.base + i * QUARTER, node, tag);
    }
}

static void quarters_drop(struct leaf *leaf, unsigned kind, size_t index, struct leaf_frame frame) {
    for (unsigned i = 0; i < QUARTERS; i++) {
        quarter_drop(leaf_quarter(leaf, i), index, frame.base + i * QUARTER, leaf_nodes(leaf, kind), frame.generations);
    }
}

void leaf_map_fill(struct leaf_map *map, const struct leaf *leaf) {
    for (unsigned i = 0; i < QUARTERS; i++) {
        const struct quarter *quarter = leaf_quarter(leaf, i);
        uint64_t *used = &map->used[(size_t)2 * i];
        PUBLISH(used[0], quarter->used[0]);
        PUBLISH(used[1], quarter->used[1]);
    }
}

/* --- Both -------------------------------------------------------------------------------------------------------- */

void leaf_clear(struct leaf *leaf, unsigned kind, char *physical) {
    if (leaf_is_short(kind)) {
        PUBLISH(leaf->physical, physical);
        for (size_t i = 0; i < leaf_room(kind); i++) {
            short_vacate(leaf, kind, i);
        }
        return;
    }
    for (unsigned i = 0; i < QUARTERS; i++) {
        struct quarter *quarter = leaf_quarter(leaf, i);
        PUBLISH(quarter->physical, physical != NULL ? physical + i * QUARTER : NULL);
        clear_bits(quarter->starts, 0, QUARTER_GRANULES);
        clear_bits(quarter->used, 0, QUARTER_GRANULES);
        PUBLISH(quarter->first, (uint16_t)0);
        for (unsigned tag = 0; tag < QUARTER_TAGS; tag++) {
            PUBLISH(quarter->tags[tag], (uint16_t)0);
        }
    }
}

void leaf_insert(struct leaf *leaf, unsigned kind, struct leaf_frame frame, struct sub_node *node) {
    struct sub_node **nodes = leaf_nodes(leaf, kind);
    size_t index = leaf_up_to(leaf, kind, (uint16_t)key_in(node, frame.base));
    for (size_t i = leaf_count(leaf, kind); i > index; i--) {
        PUBLISH(nodes[i], nodes[i - 1]);
        if (leaf_is_short(kind)) {
            short_move(leaf, kind, i, i - 1);
        }
    }
    PUBLISH(nodes[index], node);
    if (leaf_is_short(kind)) {
        short_describe(leaf, kind, index, frame, node);
    } else {
        quarters_add(leaf, index, frame, node);
    }
}

static size_t index_of(const struct leaf *leaf, unsigned kind, uintptr_t base, const struct sub_node *node) {
    size_t index = leaf_up_to(leaf, kind, (uint16_t)key_in(node, base)) - 1;
    ASSERT(leaf_nodes(leaf, kind)[index] == node);
    return index;
}

void leaf_remove(struct leaf *leaf, unsigned kind, struct leaf_frame frame, const struct sub_node *node) {
    struct sub_node **nodes = leaf_nodes(leaf, kind);
    size_t index = index_of(leaf, kind, frame.base, node);
    size_t last = leaf_count(leaf, kind) - 1;
    if (!leaf_is_short(kind)) {
        quarters_drop(leaf, kind, index, frame);
    }
    for (size_t i = index; i < last; i++) {
        PUBLISH(nodes[i], nodes[i + 1]);
        if (leaf_is_short(kind)) {
            short_move(leaf, kind, i, i + 1);
        }
    }
    if (leaf_is_short(kind)) {
        short_vacate(leaf, kind, last);
    }
}

void leaf_refresh(struct leaf *leaf, unsigned kind, struct leaf_frame frame, const struct sub_node *node,
                  struct sub_node *to) {
    size_t index = index_of(leaf, kind, frame.base, node);
    if (leaf_is_short(kind)) {
        short_describe(leaf, kind, index, frame, to);
    } else {
        quarters_drop(leaf, kind, index, frame);
        quarters_add(leaf, index, frame, to);
    }
    PUBLISH(leaf_nodes(leaf, kind)[index], to);
}

static void full_copy(struct leaf *to, unsigned to_kind, const struct leaf *from, unsigned from_kind) {
    for (unsigned i = 0; i < QUARTERS; i++) {
        struct quarter *quarter = leaf_quarter(to, i);
        const struct quarter *old = leaf_quarter(from, i);
        PUBLISH(quarter->physical, old->physical);
        for (unsigned word = 0; word < 2; word++) {
            PUBLISH(quarter->starts[word], old->starts[word]);
            PUBLISH(quarter->used[word], old->used[word]);
        }
        PUBLISH(quarter->first, old->first);
        for (unsigned tag = 0; tag < QUARTER_TAGS; tag++) {
            PUBLISH(quarter->tags[tag], old->tags[tag]);
        }
    }
    size_t count = leaf_count(from, from_kind);
    for (size_t i = 0; i < count; i++) {
        PUBLISH(leaf_nodes(to, to_kind)[i], leaf_nodes(from, from_kind)[i]);
    }
}

void leaf_fill(struct leaf *to, unsigned to_kind, const struct leaf *from, unsigned from_kind,
               struct leaf_frame frame) {
    if (!leaf_is_short(to_kind) && !leaf_is_short(from_kind)) {
        full_copy(to, to_kind, from, from_kind);
        return;
    }
    leaf_clear(to, to_kind, from->physical);
    size_t count = leaf_count(from, from_kind);
    for (size_t i = 0; i < count; i++) {
        leaf_insert(to, to_kind, frame, leaf_nodes(from, from_kind)[i]);
    }
}

/* --- What must hold ---------------------------------------------------------------------------------------------- */

/* Words in use with `count` PROCESSes, apart from a short leaf's sub nodes. */
static size_t words_in_use(unsigned kind, size_t count) {
    return leaf_is_short(kind) ? 1 + 3 * SHORT_WORDS(kind) : QUARTERS * sizeof(struct quarter) / 8 + count;
}

/* Rebuilds the leaf from its sub nodes, and compares. */
const char *leaf_flaw(const struct leaf *leaf, unsigned kind, struct leaf_frame frame) {
    union {
        struct leaf leaf;
        uint64_t words[QUARTERS * sizeof(struct quarter) / 8 + FRAME / GRANULE];
    } anew;
    size_t count = leaf_count(leaf, kind);
    if (count < 2 || count > leaf_room(kind)) {
        return "dictionary: a leaf has too few or too many PROCESSes";
    }
    leaf_clear(&anew.leaf, kind, leaf->physical);
    for (size_t i = 0; i < count; i++) {
        struct sub_node *node = leaf_nodes(leaf, kind)[i];
        if ((leaf->physical != NULL) != (node->region == NULL) ||
            (leaf->physical != NULL && leaf->physical + offset_of(node->start) - frame.base != node->physical)) {
            return "dictionary: a leaf's bytes are not where its PROCESS has them";
        }
        leaf_insert(&anew.leaf, kind, frame, node);
    }
    for (size_t i = 0; i < words_in_use(kind, count); i++) {
        if (anew.words[i] != ((const uint64_t *)leaf)[i]) {
            return "dictionary: a leaf does not agree with its PROCESSes";
        }
    }
    return NULL;
}
