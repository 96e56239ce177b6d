#include "leaf.h"

#include "base/fault.h"

/* Keys and facts, and a node, which begins at a multiple of its size: two bytes may be lost. */
#define ENTRY_SIZE (3 * sizeof(uint16_t) + sizeof(struct sub_node *))
#define FIXED_SIZE (offsetof(struct leaf, keys) + LEAF_PART_KEYS * sizeof(uint16_t) + sizeof(uint16_t))
#define ROOM(size) (((size)-FIXED_SIZE) / ENTRY_SIZE)

_Static_assert(FRAME / GRANULE == LEAF_PARTS << LEAF_PART_BITS, "the parts make up the frame");

const struct leaf_kind leaf_kinds[LEAF_KINDS] = {
    {64, ROOM(64)},   {128, ROOM(128)},   {192, ROOM(192)},   {256, ROOM(256)},   {384, ROOM(384)},   {512, ROOM(512)},
    {768, ROOM(768)}, {1024, ROOM(1024)}, {2048, ROOM(2048)}, {4096, ROOM(4096)}, {8192, ROOM(8192)},
};

/* The first granule that a PROCESS has in the frame at `base`, and the one behind its last. */
static uint16_t key_in(const struct sub_node *node, uintptr_t base) {
    uintptr_t offset = offset_of(node->start);
    return offset > base ? key_of(offset) : 0;
}

static uint16_t end_in(const struct sub_node *node, uintptr_t base) {
    uintptr_t end = offset_of(node->last) + 1 - base;
    return (uint16_t)((end < FRAME ? end : FRAME) / GRANULE);
}

/* What a leaf says of a PROCESS, all but its key. */
void leaf_describe(struct leaf *leaf, unsigned kind, size_t index, uintptr_t base, struct sub_node *node,
                   bool generations) {
    PUBLISH(leaf_facts(leaf, kind)[index].end, end_in(node, base));
    PUBLISH(leaf_facts(leaf, kind)[index].tag, leaf_tag_of(node->tag, generations));
    PUBLISH(leaf_nodes(leaf, kind)[index], node);
}

/* Copies an entry to another place of a leaf, or to another leaf. */
static void leaf_copy(struct leaf *to, unsigned to_kind, size_t to_index, const struct leaf *from, unsigned from_kind,
                      size_t from_index) {
    PUBLISH(to->keys[to_index], from->keys[from_index]);
    PUBLISH(leaf_facts(to, to_kind)[to_index].end, leaf_facts(from, from_kind)[from_index].end);
    PUBLISH(leaf_facts(to, to_kind)[to_index].tag, leaf_facts(from, from_kind)[from_index].tag);
    PUBLISH(leaf_nodes(to, to_kind)[to_index], leaf_nodes(from, from_kind)[from_index]);
}

/* A leaf has this many entries by now: where do those of its parts begin? */
static void leaf_count(struct leaf *leaf, size_t count) {
    size_t index = 0;
    for (size_t part = 0; part < LEAF_PARTS; part++) {
        while (index < count && leaf->keys[index] < part << LEAF_PART_BITS) {
            index++;
        }
        PUBLISH(leaf->halves[part], (uint8_t)(index / 2));
    }
    PUBLISH(leaf->count, (uint16_t)count);
}

/* A cell becomes a leaf without entries, for the frame whose bytes are at `physical`. */
void leaf_clear(struct leaf *leaf, unsigned kind, char *physical) {
    for (size_t i = 0; i < leaf_room(kind) + LEAF_PART_KEYS; i++) {
        PUBLISH(leaf->keys[i], (uint16_t)LEAF_NO_KEY);
    }
    PUBLISH(leaf->physical, physical);
    leaf_count(leaf, 0);
}

void leaf_insert(struct leaf *leaf, unsigned kind, uintptr_t base, struct sub_node *node, bool generations) {
    uint16_t key = key_in(node, base);
    size_t index = leaf_keys_up_to(leaf, kind, key);
    for (size_t i = leaf->count; i > index; i--) {
        leaf_copy(leaf, kind, i, leaf, kind, i - 1);
    }
    PUBLISH(leaf->keys[index], key);
    leaf_describe(leaf, kind, index, base, node, generations);
    leaf_count(leaf, leaf->count + 1u);
}

void leaf_remove(struct leaf *leaf, unsigned kind, size_t index) {
    for (size_t i = index + 1; i < leaf->count; i++) {
        leaf_copy(leaf, kind, i - 1, leaf, kind, i);
    }
    PUBLISH(leaf->keys[leaf->count - 1], (uint16_t)LEAF_NO_KEY);
    leaf_count(leaf, leaf->count - 1u);
}

/* A cell becomes a leaf with the entries of another. */
void leaf_fill(struct leaf *to, unsigned to_kind, const struct leaf *from, unsigned from_kind) {
    leaf_clear(to, to_kind, from->physical);
    for (size_t i = 0; i < from->count; i++) {
        leaf_copy(to, to_kind, i, from, from_kind, i);
    }
    leaf_count(to, from->count);
}

/* The index of a PROCESS in a leaf. */
size_t leaf_index(const struct leaf *leaf, unsigned kind, uintptr_t base, const struct sub_node *node) {
    size_t index = leaf_keys_up_to(leaf, kind, key_in(node, base)) - 1;
    ASSERT(leaf_nodes(leaf, kind)[index] == node);
    return index;
}

const char *leaf_flaw(const struct leaf *leaf, unsigned kind, uintptr_t base, bool generations) {
    if (leaf->count < 2 || leaf->count > leaf_room(kind) || leaf->keys[leaf->count] != LEAF_NO_KEY) {
        return "dictionary: a leaf has too few or too many PROCESSes";
    }
    for (size_t i = 0; i < leaf->count; i++) {
        const struct sub_node *node = leaf_nodes(leaf, kind)[i];
        if (leaf->keys[i] != key_in(node, base) || (i > 0 && leaf->keys[i - 1] >= leaf->keys[i])) {
            return "dictionary: a leaf's keys are wrong or out of order";
        }
        if (leaf_facts(leaf, kind)[i].end != end_in(node, base) ||
            leaf_facts(leaf, kind)[i].tag != leaf_tag_of(node->tag, generations) ||
            (leaf->physical != NULL) != (node->region == NULL) ||
            (leaf->physical != NULL && leaf->physical + offset_of(node->start) - base != node->physical)) {
            return "dictionary: a leaf does not say what its PROCESS is";
        }
    }
    for (size_t part = 0; part < LEAF_PARTS; part++) {
        size_t before = 0;
        for (size_t i = 0; i < leaf->count; i++) {
            before += leaf->keys[i] < part << LEAF_PART_BITS;
        }
        if (leaf->halves[part] != before / 2) {
            return "dictionary: a part of a leaf does not begin where it should";
        }
    }
    return NULL;
}
