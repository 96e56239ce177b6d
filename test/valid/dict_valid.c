/* dict_valid.c - the invariants of the dictionary. */
#include "dict_valid.h"

#include "base/broken.h"
#include "mems_heap/dict_entry.h"

/* Counted so far: leaves of each kind and maps, and tables. */
struct audit {
    const struct dict *dict;
    size_t tables;
    size_t leaves[LEAF_KINDS + 1];
};

/* Not every full leaf has a shortcut. */
static const char *shortcut_flaw(struct audit *audit, const struct shortcut *shortcut, uintptr_t entry,
                                 uintptr_t base) {
    if (shortcut->map == NULL) {
        return NULL;
    }
    audit->leaves[DICT_MAPS]++;
    if (!is_leaf(entry) || leaf_is_short(kind_of(entry))) {
        return "dictionary: a shortcut to a frame without a full leaf";
    }
    union {
        struct leaf_map map;
        struct leaf_runs runs;
        uint64_t words[sizeof(struct leaf_runs) / sizeof(uint64_t)];
    } anew;
    struct leaf_frame frame = frame_at(audit->dict, base);
    if (frame.generations) {
        leaf_runs_fill(&anew.runs, leaf_of(entry), kind_of(entry), frame);
    } else {
        leaf_map_fill(&anew.map, leaf_of(entry), kind_of(entry), frame);
    }
    size_t size = frame.generations ? sizeof anew.runs : sizeof anew.map;
    for (size_t i = 0; i < size / sizeof *anew.words; i++) {
        if (anew.words[i] != ((const uint64_t *)shortcut->map)[i]) {
            return "dictionary: a map does not agree with its leaf";
        }
    }
    const char *physical = frame_physical(leaf_nodes(leaf_of(entry), kind_of(entry))[0], base);
    return physical == NULL || shortcut->physical != physical
               ? "dictionary: a shortcut does not lead to its frame's bytes"
               : NULL;
}

static const char *entry_flaw(struct audit *audit, uintptr_t entry, unsigned height, uintptr_t base) {
    if (is_leaf(entry)) {
        audit->leaves[kind_of(entry)]++;
        return height == 0 ? leaf_flaw(leaf_of(entry), kind_of(entry), frame_at(audit->dict, base))
                           : "dictionary: a leaf above the frames";
    }
    if (type_of(entry) == TYPE_TABLE) {
        audit->tables++;
        const char *flaw = height == 0 ? "dictionary: a table below the frames" : NULL;
        for (size_t i = 0; flaw == NULL && i < TABLE_SIZE; i++) {
            uintptr_t own_base = base + (i << span_bits(height - 1));
            flaw = entry_flaw(audit, table_of(entry)[i], height - 1, own_base);
            if (flaw == NULL && audit->dict->shortcuts) {
                flaw = shortcut_flaw(audit, table_shortcut(table_of(entry), i), table_of(entry)[i], own_base);
            }
        }
        return flaw;
    }
    const struct sub_node *node = node_of(entry);
    uintptr_t last = base + (((uintptr_t)1 << span_bits(height)) - 1);
    if (node != NULL &&
        (sub_node_kind(node) == SEGMENT_HOLE || offset_of(node->start) > last || offset_of(node->last) < base ||
         (height > 0 && offset_of(node->start) > base) || (height > 0 && offset_of(node->last) < last))) {
        return "dictionary: an entry leads to a PROCESS without its addresses";
    }
    return NULL;
}

bool dict_valid(const struct dict *dict, const char **why) {
    struct audit audit = {.dict = dict};
    const char *flaw = (dict->sequence & 1) != 0 ? "dictionary: a change has not ended"
                                                 : entry_flaw(&audit, dict->root, dict->height, 0);
    if (flaw == NULL && audit.tables != dict->tables.used) {
        flaw = "dictionary: the number of tables is wrong";
    }
    for (unsigned kind = 0; flaw == NULL && kind <= DICT_MAPS; kind++) {
        if (audit.leaves[kind] != dict->leaves[kind].used) {
            flaw = "dictionary: the number of leaves or maps is wrong";
        } else {
            (void)pool_valid(&dict->leaves[kind], &flaw);
        }
    }
    return flaw == NULL || broken(why, flaw);
}
