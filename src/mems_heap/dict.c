#include "dict.h"

#include "dict_entry.h"
#include "handle.h"

static struct sub_node *search_leaf(uintptr_t entry, uint16_t key) {
    const struct leaf *leaf = leaf_of(entry);
    unsigned kind = kind_of(entry);
    size_t index = leaf_up_to(leaf, kind, key);
    return index > 0 ? leaf_nodes(leaf, kind)[index - 1] : NULL;
}

/* The entry of an offset's frame. */
ALWAYS_INLINE uintptr_t find_entry(const struct dict *dict, uintptr_t offset) {
    uintptr_t entry = OBSERVE(dict->root);
    unsigned height = OBSERVE(dict->height);
    if (UNLIKELY(offset >> span_bits(height) != 0)) {
        return 0;
    }
    while (type_of(entry) == TYPE_TABLE) {
        if (UNLIKELY(height == 0)) {
            return 0; /* the root and the height are from different moments */
        }
        height--;
        entry = OBSERVE(table_of(entry)[offset >> span_bits(height) & (TABLE_SIZE - 1)]);
    }
    return entry;
}

/* With addresses in the offset's frame. */
static struct sub_node *search(const struct dict *dict, uintptr_t offset) {
    uintptr_t entry = find_entry(dict, offset);
    return is_leaf(entry) ? search_leaf(entry, key_of(offset)) : node_of(entry);
}

struct sub_node *dict_search(const struct dict *dict, uintptr_t v_address) {
    struct sub_node *node = search(dict, offset_of(v_address));
    return node != NULL && node->start <= v_address && v_address <= node->last ? node : NULL;
}

/* The cell may have become a HOLE. These words then belong to its tree node, whose writer does not use PUBLISH; the
 * sequence reveals that, and the value is discarded. */
RACY_INLINE char *observe_physical(const struct sub_node *node) {
    return OBSERVE(node->physical);
}

/* All that was read since the sequence is valid. Those loads are acquire: they pair with PUBLISH. */
ALWAYS_INLINE bool is_unchanged(const struct dict *dict, uint64_t sequence) {
    return __atomic_load_n(&dict->sequence, __ATOMIC_RELAXED) == sequence && (sequence & 1) == 0;
}

/* A PROCESS alone in its frame, or with bytes elsewhere; as dict_translate. */
static void *translate_by_node(const struct dict *dict, const struct sub_node *node, uintptr_t handle,
                               uint64_t sequence) {
    if (UNLIKELY(node == NULL)) {
        return NULL;
    }
    uintptr_t v_address = handle_address(handle);
    uintptr_t start = OBSERVE(node->start);
    uintptr_t last = OBSERVE(node->last);
    uint32_t own = OBSERVE(node->tag);
    char *physical = observe_physical(node);
    bool fits = v_address >= start && v_address <= last && leaf_tag_of(own, dict->generations) == handle_tag(handle);
    return fits && is_unchanged(dict, sequence) ? physical + (v_address - start) : NULL;
}

/* An entry of any kind, where no map leads. */
NOINLINE static void *translate_by_entry(const struct dict *dict, uintptr_t entry, uintptr_t handle,
                                         uint64_t sequence) {
    if (!is_leaf(entry)) {
        return translate_by_node(dict, node_of(entry), handle, sequence);
    }
    const struct leaf *leaf = leaf_of(entry);
    unsigned kind = kind_of(entry);
    uintptr_t offset = offset_of(handle_address(handle));
    uint16_t key = key_of(offset);
    size_t index = leaf_up_to(leaf, kind, key) - 1;
    if (UNLIKELY(index >= leaf_room(kind))) {
        return NULL;
    }
    char *physical = leaf_is_short(kind) ? OBSERVE(leaf->physical) : NULL;
    if (physical == NULL) {
        return translate_by_node(dict, OBSERVE(leaf_nodes(leaf, kind)[index]), handle, sequence);
    }
    bool fits =
        lane_get(leaf, kind, LANE_END, index) > key && lane_get(leaf, kind, LANE_TAG, index) == handle_tag(handle);
    return LIKELY(fits && is_unchanged(dict, sequence)) ? physical + (offset & (FRAME - 1)) : NULL;
}

/* Whether a frame's map leads a handle to its block. Of a run without a tag in the map, it does not. */
ALWAYS_INLINE bool map_fits(const void *map, uintptr_t handle, bool generations) {
    uint16_t key = key_of(offset_of(handle_address(handle)));
    if (!generations) {
        return leaf_map_uses(map, key);
    }
    size_t number = runs_up_to(map, key) - 1;
    return LIKELY(number < RUNS_TAGS) && runs_tag(map, number) == handle_tag(handle);
}

ALWAYS_INLINE void *translate(const struct dict *dict, uintptr_t handle, uint64_t sequence, bool generations) {
    uintptr_t offset = offset_of(handle_address(handle));
    uintptr_t entry = OBSERVE(dict->root);
    unsigned height = OBSERVE(dict->height);
    if (UNLIKELY(offset >> span_bits(height) != 0)) {
        return NULL;
    }
    while (type_of(entry) == TYPE_TABLE) {
        if (UNLIKELY(height == 0)) {
            return NULL; /* the root and the height are from different moments */
        }
        height--;
        size_t index = offset >> span_bits(height) & (TABLE_SIZE - 1);
        if (LIKELY(height == 0) && LIKELY(OBSERVE(dict->shortcuts))) {
            const struct shortcut *shortcut = table_shortcut(table_of(entry), index);
            const void *map = OBSERVE(shortcut->map);
            char *physical = OBSERVE(shortcut->physical);
            if (LIKELY(map != NULL && map_fits(map, handle, generations))) {
                return LIKELY(is_unchanged(dict, sequence)) ? physical + (offset & (FRAME - 1)) : NULL;
            }
        }
        entry = OBSERVE(table_of(entry)[index]);
    }
    return translate_by_entry(dict, entry, handle, sequence);
}

HOT void *dict_translate(const struct dict *dict, uintptr_t handle) {
    uint64_t sequence = OBSERVE(dict->sequence);
    uint32_t readers = OBSERVE(dict->readers);
    if (UNLIKELY(readers != 0 ? handle_number(handle) != readers : handle != handle_address(handle))) {
        return NULL;
    }
    return readers == 0 ? translate(dict, handle, sequence, false) : translate(dict, handle, sequence, true);
}

/* The last PROCESS below an entry. */
static struct sub_node *last_of(uintptr_t entry) {
    if (is_leaf(entry)) {
        const struct leaf *leaf = leaf_of(entry);
        unsigned kind = kind_of(entry);
        return leaf_nodes(leaf, kind)[leaf_count(leaf, kind) - 1];
    }
    if (type_of(entry) == TYPE_NODE) {
        return node_of(entry);
    }
    struct sub_node *node = NULL;
    for (size_t i = TABLE_SIZE; i > 0 && node == NULL; i--) {
        node = last_of(table_of(entry)[i - 1]);
    }
    return node;
}

/* In or before the entry's addresses. */
static struct sub_node *search_before(uintptr_t entry, unsigned height, uintptr_t offset) {
    if (type_of(entry) != TYPE_TABLE) {
        return is_leaf(entry) ? search_leaf(entry, key_of(offset)) : node_of(entry);
    }
    size_t index = offset >> span_bits(height - 1) & (TABLE_SIZE - 1);
    struct sub_node *node = search_before(table_of(entry)[index], height - 1, offset);
    if (node != NULL && offset_of(node->start) > offset) {
        node = NULL;
    }
    while (node == NULL && index > 0) {
        node = last_of(table_of(entry)[--index]);
    }
    return node;
}

struct sub_node *dict_search_before(const struct dict *dict, uintptr_t v_address) {
    uintptr_t offset = offset_of(v_address);
    if (offset >> span_bits(dict->height) != 0) {
        return last_of(dict->root);
    }
    struct sub_node *node = search_before(dict->root, dict->height, offset);
    return node != NULL && node->start <= v_address ? node : NULL;
}

size_t dict_bytes(const struct dict *dict) {
    size_t bytes = dict->tables.bytes;
    for (unsigned kind = 0; kind <= DICT_MAPS; kind++) {
        bytes += dict->leaves[kind].bytes;
    }
    return bytes;
}
