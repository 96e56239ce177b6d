/* dict_entry.h - what the entries of the dictionary's tables (dict.h) lead to. */
#pragma once

#include "dict.h"

#define TABLE_SIZE ((size_t)1 << TABLE_BITS)
#define HEIGHT_MAX ((DICT_ADDRESS_BITS - FRAME_BITS) / TABLE_BITS)

static inline unsigned type_of(uintptr_t entry) {
    return (unsigned)(entry & TYPE_MASK);
}

static inline bool is_leaf(uintptr_t entry) {
    return type_of(entry) >= TYPE_LEAF;
}

static inline unsigned kind_of(uintptr_t entry) {
    return type_of(entry) - TYPE_LEAF;
}

static inline struct leaf *leaf_of(uintptr_t entry) {
    return (struct leaf *)(entry & ~TYPE_MASK);
}

static inline uintptr_t *table_of(uintptr_t entry) {
    return (uintptr_t *)(entry & ~TYPE_MASK);
}

/* For a frame with a full leaf. */
struct shortcut {
    void *map;      /* struct leaf_runs, or leaf_map if handles are plain addresses; NULL: none */
    char *physical; /* where the frame's bytes are */
};

/* Unless blocks move, shortcuts are behind a table's entries. */
static inline struct shortcut *table_shortcut(uintptr_t *table, size_t index) {
    return (struct shortcut *)(table + TABLE_SIZE) + index;
}

static inline size_t table_bytes(bool shortcuts) {
    return TABLE_SIZE * (sizeof(uintptr_t) + (shortcuts ? sizeof(struct shortcut) : 0));
}

static inline struct sub_node *node_of(uintptr_t entry) {
    return (struct sub_node *)entry;
}

/* The bits of an offset that an entry at this height covers. */
static inline unsigned span_bits(unsigned height) {
    return FRAME_BITS + TABLE_BITS * height;
}

/* `base` is the frame's offset. */
static inline struct leaf_frame frame_at(const struct dict *dict, uintptr_t base) {
    return (struct leaf_frame){base, dict->generations};
}
