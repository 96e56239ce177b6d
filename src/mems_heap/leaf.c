#include "leaf.h"

#include "base/fault.h"

#define SHORT(size) \
    { (size), (size) / LEAF_SHORT_SHARE }
#define FULL(room) \
    { sizeof(struct full_leaf) + (room) * sizeof(struct sub_node *), (room) }

const struct leaf_kind leaf_kinds[LEAF_KINDS] = {
    SHORT(64), SHORT(128), FULL(15), FULL(23), FULL(31), FULL(47), FULL(63), FULL(95), FULL(127), FULL(255), FULL(519),
};

_Static_assert(sizeof(struct full_leaf) % POOL_GRAIN == sizeof(uint64_t), "the rooms fill whole cache lines");
_Static_assert(offsetof(struct leaf, lanes) + LANES * (3 * sizeof(uint16_t) + sizeof(struct sub_node *)) == POOL_GRAIN,
               "a short leaf with room for 4 PROCESSes fills a cache line");

/* A PROCESS's first granule in the frame at `base`, and the one behind its last. */
static unsigned key_in(const struct sub_node *node, uintptr_t base) {
    uintptr_t offset = offset_of(node->start);
    return offset > base ? (unsigned)((offset - base) / GRANULE) : 0;
}

static unsigned end_in(const struct sub_node *node, uintptr_t base) {
    uintptr_t end = offset_of(node->last) + 1 - base;
    return (unsigned)((end < FRAME ? end : FRAME) / GRANULE);
}

char *frame_physical(const struct sub_node *node, uintptr_t base) {
    return node->region == NULL ? node->physical + base - offset_of(node->start) : NULL;
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
    lane_set(leaf, kind, LANE_END, index, end_in(node, frame.base));
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

/* --- Bits -------------------------------------------------------------------------------------------------------- */

/* The bits from .. to - 1 of a frame that are in a word. */
static uint64_t bits_between(unsigned word, unsigned from, unsigned to) {
    unsigned low = from > word * 64 ? from - word * 64 : 0;
    unsigned high = to > word * 64 ? to - word * 64 : 0;
    high = high < 64 ? high : 64;
    return low < high ? ~UINT64_C(0) >> (64 - (high - low)) << low : 0;
}

static void set_bits(uint64_t words[FRAME_WORDS], unsigned from, unsigned to) {
    for (unsigned word = from / 64; word * 64 < to; word++) {
        PUBLISH(words[word], words[word] | bits_between(word, from, to));
    }
}

static void clear_bits(uint64_t words[FRAME_WORDS], unsigned from, unsigned to) {
    for (unsigned word = from / 64; word * 64 < to; word++) {
        PUBLISH(words[word], words[word] & ~bits_between(word, from, to));
    }
}

/* The first granule behind `key` at which a PROCESS of a full leaf begins; or that behind the frame. */
static unsigned next_start(const struct leaf *leaf, unsigned key) {
    const uint64_t *starts = leaf_starts(leaf);
    for (unsigned word = key / 64; word < FRAME_WORDS; word++) {
        uint64_t later = starts[word] & bits_between(word, key + 1, FRAME_GRANULES);
        if (later != 0) {
            return word * 64 + lowest_bit(later);
        }
    }
    return FRAME_GRANULES;
}

/* Sets or clears the bit for where a PROCESS begins. */
static void full_set(struct leaf *leaf, unsigned key, bool starts) {
    uint64_t *word = &leaf_starts(leaf)[key / 64];
    PUBLISH(*word, *word ^ UINT64_C(1) << key % 64);
    for (unsigned part = key / LEAF_PART; part < LEAF_PARTS; part++) {
        uint16_t *before = &leaf_full(leaf)->before[part];
        PUBLISH(*before, (uint16_t)(starts ? *before + 1 : *before - 1));
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
    clear_bits(leaf_starts(leaf), 0, FRAME_GRANULES);
    for (unsigned part = 0; part < LEAF_PARTS; part++) {
        PUBLISH(leaf_full(leaf)->before[part], (uint16_t)0);
    }
}

void leaf_insert(struct leaf *leaf, unsigned kind, struct leaf_frame frame, struct sub_node *node) {
    struct sub_node **nodes = leaf_nodes(leaf, kind);
    unsigned key = key_in(node, frame.base);
    size_t index = leaf_up_to(leaf, kind, (uint16_t)key);
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
        full_set(leaf, key, true);
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
    for (size_t i = index; i < last; i++) {
        PUBLISH(nodes[i], nodes[i + 1]);
        if (leaf_is_short(kind)) {
            short_move(leaf, kind, i, i + 1);
        }
    }
    if (leaf_is_short(kind)) {
        short_vacate(leaf, kind, last);
    } else {
        full_set(leaf, key_in(node, frame.base), false);
    }
}

void leaf_refresh(struct leaf *leaf, unsigned kind, struct leaf_frame frame, const struct sub_node *node,
                  struct sub_node *to) {
    size_t index = index_of(leaf, kind, frame.base, node);
    if (leaf_is_short(kind)) {
        short_describe(leaf, kind, index, frame, to);
    }
    PUBLISH(leaf_nodes(leaf, kind)[index], to);
}

static void full_copy(struct leaf *to, unsigned to_kind, const struct leaf *from, unsigned from_kind) {
    for (unsigned word = 0; word < FRAME_WORDS; word++) {
        PUBLISH(leaf_starts(to)[word], leaf_starts(from)[word]);
    }
    for (unsigned part = 0; part < LEAF_PARTS; part++) {
        PUBLISH(leaf_full(to)->before[part], leaf_full(from)->before[part]);
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
    leaf_clear(to, to_kind, frame_physical(leaf_nodes(from, from_kind)[0], frame.base));
    size_t count = leaf_count(from, from_kind);
    for (size_t i = 0; i < count; i++) {
        leaf_insert(to, to_kind, frame, leaf_nodes(from, from_kind)[i]);
    }
}

/* --- Maps -------------------------------------------------------------------------------------------------------- */

/* What a frame has between the starts of two PROCESSes: the granules key .. end - 1 of the first, which are none if it
 * is doomed or removed; and nothing from there to next - 1. */
struct stretch {
    unsigned key;
    unsigned end;
    unsigned next;
    uint16_t tag;
};

static struct stretch stretch_of(const struct leaf *leaf, struct leaf_frame frame, const struct sub_node *node,
                                 bool removed) {
    unsigned key = key_in(node, frame.base);
    uint16_t tag = removed ? 0 : leaf_tag_of(node->tag, frame.generations);
    return (struct stretch){key, tag != 0 ? end_in(node, frame.base) : key, next_start(leaf, key), tag};
}

void leaf_map_update(struct leaf_map *map, const struct leaf *leaf, struct leaf_frame frame,
                     const struct sub_node *node, bool removed) {
    struct stretch stretch = stretch_of(leaf, frame, node, removed);
    clear_bits(map->used, stretch.end, stretch.next);
    set_bits(map->used, stretch.key, stretch.end);
}

void leaf_map_fill(struct leaf_map *map, const struct leaf *leaf, unsigned kind, struct leaf_frame frame) {
    clear_bits(map->used, 0, FRAME_GRANULES);
    size_t count = leaf_count(leaf, kind);
    for (size_t i = 0; i < count; i++) {
        leaf_map_update(map, leaf, frame, leaf_nodes(leaf, kind)[i], false);
    }
}

static void runs_set_tag(struct leaf_runs *runs, size_t number, unsigned tag) {
    uint8_t *high = &runs->high[number / 2];
    unsigned shift = number % 2 * 4;
    PUBLISH(runs->low[number], (uint8_t)tag);
    PUBLISH(*high, (uint8_t)((*high & ~(0xfu << shift)) | tag >> 8 << shift));
}

/* The granule at which a run begins. */
static unsigned runs_start(const struct leaf_runs *runs, size_t number) {
    unsigned word = 0;
    for (; number >= count_bits(runs->bounds[word]); word++) {
        number -= count_bits(runs->bounds[word]);
    }
    uint64_t left = runs->bounds[word];
    for (; number > 0; number--) {
        left &= left - 1;
    }
    return word * 64 + lowest_bit(left);
}

/* Of the run that has a granule, by the sub nodes. */
static uint16_t tag_at(const struct leaf *leaf, unsigned kind, struct leaf_frame frame, unsigned granule) {
    size_t count = full_up_to(leaf, (uint16_t)granule);
    const struct sub_node *node = count > 0 ? leaf_nodes(leaf, kind)[count - 1] : NULL;
    return node != NULL && granule < end_in(node, frame.base) ? leaf_tag_of(node->tag, frame.generations) : 0;
}

struct run {
    unsigned granule;
    unsigned tag;
};

/* The runs that begin in a stretch or at its end, between two tags. Returns their number, at most 3. */
static size_t runs_of(struct stretch stretch, unsigned before, unsigned after, struct run runs[3]) {
    const struct run parts[] = {{stretch.key, stretch.tag}, {stretch.end, 0}, {stretch.next, after}};
    const unsigned ends[] = {stretch.end, stretch.next, FRAME_GRANULES};
    size_t count = 0;
    for (size_t i = 0; i < 3; i++) {
        if (parts[i].granule < ends[i]) {
            if (parts[i].tag != 0 || before != 0) {
                runs[count++] = parts[i];
            }
            before = parts[i].tag;
        }
    }
    return count;
}

/* Runs begin at the granules from .. to - 1 where these do. */
static void runs_set_bounds(struct leaf_runs *runs, unsigned from, unsigned to, const struct run *anew, size_t count) {
    for (unsigned word = from / 64; word * 64 < to; word++) {
        uint64_t bits = runs->bounds[word] & ~bits_between(word, from, to);
        for (size_t i = 0; i < count; i++) {
            bits |= bits_between(word, anew[i].granule, anew[i].granule + 1);
        }
        PUBLISH(runs->bounds[word], bits);
    }
    size_t before = runs->before[from / 64];
    for (unsigned word = from / 64; word < FRAME_WORDS; word++) {
        PUBLISH(runs->before[word], (uint8_t)min_size(before, RUNS_MANY));
        before += count_bits(runs->bounds[word]);
    }
}

/* Replaces the tags of `old` runs from the first on by those of `count`. The bounds have changed already. */
static void runs_set_tags(struct leaf_runs *runs, const struct leaf *leaf, unsigned kind, struct leaf_frame frame,
                          size_t first, size_t old, const struct run *anew, size_t count) {
    size_t total = runs_up_to(runs, FRAME_GRANULES - 1);
    for (size_t number = min_size(total, RUNS_TAGS); count > old && number-- > first + count;) {
        runs_set_tag(runs, number, runs_tag(runs, number - (count - old)));
    }
    size_t former = min_size(total + old - count, RUNS_TAGS);
    for (size_t number = first + count; count < old && number < former; number++) {
        size_t from = number + (old - count);
        unsigned tag = from < RUNS_TAGS ? runs_tag(runs, from)
                       : number < total ? tag_at(leaf, kind, frame, runs_start(runs, number))
                                        : 0;
        runs_set_tag(runs, number, tag);
    }
    for (size_t i = 0; i < count && first + i < RUNS_TAGS; i++) {
        runs_set_tag(runs, first + i, anew[i].tag);
    }
}

void leaf_runs_update(struct leaf_runs *runs, const struct leaf *leaf, unsigned kind, struct leaf_frame frame,
                      const struct sub_node *node, bool removed) {
    struct stretch stretch = stretch_of(leaf, frame, node, removed);
    unsigned to = stretch.next < FRAME_GRANULES ? stretch.next + 1 : FRAME_GRANULES;
    size_t first = stretch.key > 0 ? runs_up_to(runs, stretch.key - 1) : 0;
    size_t behind = runs_up_to(runs, to - 1);
    unsigned before = stretch.key == 0     ? LEAF_TAG_ALIVE /* a run begins at granule 0 in any case */
                      : first <= RUNS_TAGS ? runs_tag(runs, first - 1)
                                           : tag_at(leaf, kind, frame, stretch.key - 1);
    unsigned after = behind <= RUNS_TAGS ? runs_tag(runs, behind - 1) : tag_at(leaf, kind, frame, to - 1);
    struct run anew[3];
    size_t count = runs_of(stretch, before, after, anew);
    runs_set_bounds(runs, stretch.key, to, anew, count);
    if (first < RUNS_TAGS) {
        runs_set_tags(runs, leaf, kind, frame, first, behind - first, anew, count);
    }
}

void leaf_runs_fill(struct leaf_runs *runs, const struct leaf *leaf, unsigned kind, struct leaf_frame frame) {
    for (size_t i = 0; i < sizeof runs->low; i++) {
        PUBLISH(runs->low[i], (uint8_t)0);
    }
    for (size_t i = 0; i < sizeof runs->high; i++) {
        PUBLISH(runs->high[i], (uint8_t)0); /* with the unused last bits */
    }
    PUBLISH(runs->before[0], (uint8_t)0);
    runs_set_bounds(runs, 0, FRAME_GRANULES, &(struct run){0}, 1);
    size_t count = leaf_count(leaf, kind);
    for (size_t i = 0; i < count; i++) {
        leaf_runs_update(runs, leaf, kind, frame, leaf_nodes(leaf, kind)[i], false);
    }
}

/* --- What must hold ---------------------------------------------------------------------------------------------- */

/* Words in use with `count` PROCESSes, apart from a short leaf's sub nodes. */
static size_t words_in_use(unsigned kind, size_t count) {
    return leaf_is_short(kind) ? 1 + 3 * SHORT_WORDS(kind) : sizeof(struct full_leaf) / 8 + count;
}

/* Rebuilds the leaf from its sub nodes, and compares. */
const char *leaf_flaw(const struct leaf *leaf, unsigned kind, struct leaf_frame frame) {
    union {
        struct leaf leaf;
        uint64_t words[sizeof(struct full_leaf) / 8 + FRAME_GRANULES];
    } anew;
    size_t count = leaf_count(leaf, kind);
    if (count < 2 || count > leaf_room(kind)) {
        return "dictionary: a leaf has too few or too many PROCESSes";
    }
    char *physical = leaf_is_short(kind) ? leaf->physical : frame_physical(leaf_nodes(leaf, kind)[0], frame.base);
    leaf_clear(&anew.leaf, kind, physical);
    for (size_t i = 0; i < count; i++) {
        struct sub_node *node = leaf_nodes(leaf, kind)[i];
        if (frame_physical(node, frame.base) != physical) {
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
