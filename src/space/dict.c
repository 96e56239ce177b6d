#include "dict.h"

#include <string.h>

#include "base/bits.h"
#include "base/fault.h"
#include "main_chain.h"

#define FRAME ((uintptr_t)1 << DICT_FRAME_BITS)
#define TABLE_BITS 9u
#define TABLE_SIZE ((size_t)1 << TABLE_BITS)
#define HEIGHT_MAX ((DICT_ADDRESS_BITS - DICT_FRAME_BITS) / TABLE_BITS)
#define GRANULE 8u

/* What an entry is stands in its lowest bits: cells begin at multiples of 64. */
#define TYPE_MASK ((uintptr_t)POOL_GRAIN - 1)
#define TYPE_NODE 0u
#define TYPE_TABLE 1u
#define TYPE_LEAF 2u /* and the class of the leaf's size on top */

/*
 * The PROCESSes of a frame, in order. keys[i] is the first granule that nodes[i] has in the frame; the nodes stand at
 * the end of the cell.
 *
 *   | count | keys[0] keys[1] ... | nodes[0] nodes[1] ... |
 */
struct leaf {
    uint16_t count;
    uint16_t keys[];
};

static const uint16_t leaf_capacities[DICT_LEAVES] = {6, 12, 25, 51, 102, 204, 409, 818};

static size_t leaf_size(unsigned class) {
    return (size_t)POOL_GRAIN << class;
}

static struct sub_node **leaf_nodes(const struct leaf *leaf, unsigned class) {
    return (struct sub_node **)((uintptr_t)leaf + leaf_size(class)) - leaf_capacities[class];
}

static unsigned type_of(uintptr_t entry) {
    return (unsigned)(entry & TYPE_MASK);
}

static bool is_leaf(uintptr_t entry) {
    return type_of(entry) >= TYPE_LEAF;
}

static unsigned class_of(uintptr_t entry) {
    return type_of(entry) - TYPE_LEAF;
}

static struct leaf *leaf_of(uintptr_t entry) {
    return (struct leaf *)(entry & ~TYPE_MASK);
}

static uintptr_t *table_of(uintptr_t entry) {
    return (uintptr_t *)(entry & ~TYPE_MASK);
}

static struct sub_node *node_of(uintptr_t entry) {
    return (struct sub_node *)entry;
}

/* Addresses count from the first one on. */
static uintptr_t offset_of(uintptr_t v_address) {
    return v_address - MAIN_CHAIN_START;
}

/* The bits of an offset that an entry at this height stands for. */
static unsigned span_bits(unsigned height) {
    return DICT_FRAME_BITS + TABLE_BITS * height;
}

static uint16_t key_of(uintptr_t offset) {
    return (uint16_t)((offset & (FRAME - 1)) / GRANULE);
}

/* --- Reading ----------------------------------------------------------------------------------------------------- */

/* How many keys are at most `key`. Each step of the search is a conditional move: which half it takes cannot be
 * predicted. */
static size_t keys_up_to(const struct leaf *leaf, size_t count, uint16_t key) {
    const uint16_t *first = leaf->keys;
    size_t left = count;
    while (left > 1) {
        size_t half = left / 2;
        first = OBSERVE(first[half]) <= key ? first + half : first;
        left -= half;
    }
    return (size_t)(first - leaf->keys) + (left > 0 && OBSERVE(*first) <= key);
}

static struct sub_node *search_leaf(uintptr_t entry, uint16_t key) {
    const struct leaf *leaf = leaf_of(entry);
    unsigned class = class_of(entry);
    size_t count = OBSERVE(leaf->count);
    size_t index = keys_up_to(leaf, count < leaf_capacities[class] ? count : leaf_capacities[class], key);
    return index > 0 ? OBSERVE(leaf_nodes(leaf, class)[index - 1]) : NULL;
}

/* The last PROCESS at or before an offset, of those that have addresses in its frame. */
ALWAYS_INLINE struct sub_node *search(const struct dict *dict, uintptr_t offset) {
    uintptr_t entry = OBSERVE(dict->root);
    unsigned height = OBSERVE(dict->height);
    if (offset >> span_bits(height) != 0) {
        return NULL;
    }
    while (type_of(entry) == TYPE_TABLE) {
        if (UNLIKELY(height == 0)) {
            return NULL; /* the root and the height are not of one moment */
        }
        height--;
        entry = OBSERVE(table_of(entry)[offset >> span_bits(height) & (TABLE_SIZE - 1)]);
    }
    return is_leaf(entry) ? search_leaf(entry, key_of(offset)) : node_of(entry);
}

struct sub_node *dict_search(const struct dict *dict, uintptr_t v_address) {
    struct sub_node *node = search(dict, offset_of(v_address));
    return node != NULL && node->start <= v_address && v_address <= node->last ? node : NULL;
}

/*
 * Where the bytes are, of a cell that may have become a HOLE: then these are words of its tree node, which its writer
 * does not write for us. The sequence tells, and the value is thrown away.
 */
#ifdef __SANITIZE_THREAD__
RACY_READER static char *observe_physical(const struct sub_node *node) {
    return OBSERVE(node->physical);
}
#else
static inline char *observe_physical(const struct sub_node *node) {
    return OBSERVE(node->physical);
}
#endif

/* All loads but the last are acquire, so that none comes after it; the partners are PUBLISH and begin_change. */
HOT void *dict_translate(const struct dict *dict, uintptr_t v_address, uint32_t tag, uint32_t mask) {
    uint64_t sequence = OBSERVE(dict->sequence);
    const struct sub_node *node = search(dict, offset_of(v_address));
    if (UNLIKELY(node == NULL || (sequence & 1) != 0)) {
        return NULL;
    }
    uintptr_t start = OBSERVE(node->start);
    if (UNLIKELY(v_address < start || v_address > OBSERVE(node->last) || (OBSERVE(node->tag) & mask) != tag)) {
        return NULL;
    }
    char *physical = observe_physical(node) + (v_address - start);
    return LIKELY(__atomic_load_n(&dict->sequence, __ATOMIC_RELAXED) == sequence) ? physical : NULL;
}

/* The last PROCESS that an entry leads to. */
static struct sub_node *last_of(uintptr_t entry) {
    if (is_leaf(entry)) {
        const struct leaf *leaf = leaf_of(entry);
        return leaf_nodes(leaf, class_of(entry))[leaf->count - 1];
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

/* The same of those that start at or before an offset, in or before the entry's addresses. */
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

/* --- Writing ----------------------------------------------------------------------------------------------------- */

/*
 * Between the two a reader's result does not count. The fence keeps what is written after it, also after the end and
 * until the next beginning, from being seen before the odd number: a cell may become something else by then.
 * ThreadSanitizer knows no fences; an exchange does as much.
 */
static void begin_change(struct dict *dict) {
#ifdef __SANITIZE_THREAD__
    __atomic_exchange_n(&dict->sequence, dict->sequence + 1, __ATOMIC_SEQ_CST);
#else
    __atomic_store_n(&dict->sequence, dict->sequence + 1, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_RELEASE);
#endif
}

static void end_change(struct dict *dict) {
    PUBLISH(dict->sequence, dict->sequence + 1);
}

/* A table; of an entry that was a sub node for all of its addresses, each of the table's is. */
static uintptr_t make_table(struct dict *dict, uintptr_t entry) {
    uintptr_t *table = pool_take(&dict->tables); /* none is ever given back: it reads as zero */
    for (size_t i = 0; entry != 0 && i < TABLE_SIZE; i++) {
        PUBLISH(table[i], entry);
    }
    return (uintptr_t)table | TYPE_TABLE;
}

static void leaf_put(struct leaf *leaf, unsigned class, size_t index, uint16_t key, struct sub_node *node) {
    PUBLISH(leaf->keys[index], key);
    PUBLISH(leaf_nodes(leaf, class)[index], node);
}

/* Copies entries to another place of a leaf, or to another leaf; where they overlap, from the right end. */
static void leaf_copy(struct leaf *to, unsigned to_class, size_t at, const struct leaf *from, unsigned from_class,
                      size_t first, size_t count) {
    bool down = to != from || at < first;
    for (size_t i = 0; i < count; i++) {
        size_t step = down ? i : count - 1 - i;
        leaf_put(to, to_class, at + step, from->keys[first + step], leaf_nodes(from, from_class)[first + step]);
    }
}

/* A leaf's entries in one of another size, which is returned in the place of its entry. */
static uintptr_t leaf_resize(struct dict *dict, uintptr_t entry, unsigned class) {
    struct leaf *from = leaf_of(entry);
    struct leaf *to = pool_take(&dict->leaves[class]);
    leaf_copy(to, class, 0, from, class_of(entry), 0, from->count);
    PUBLISH(to->count, from->count);
    pool_give(&dict->leaves[class_of(entry)], from);
    return (uintptr_t)to | (TYPE_LEAF + class);
}

static void leaf_insert(struct leaf *leaf, unsigned class, uint16_t key, struct sub_node *node) {
    size_t index = keys_up_to(leaf, leaf->count, key);
    leaf_copy(leaf, class, index + 1, leaf, class, index, leaf->count - index);
    leaf_put(leaf, class, index, key, node);
    PUBLISH(leaf->count, (uint16_t)(leaf->count + 1));
}

/* The key of a PROCESS in the frame at `base`. */
static uint16_t key_in(const struct sub_node *node, uintptr_t base) {
    uintptr_t offset = offset_of(node->start);
    return offset > base ? key_of(offset) : 0;
}

static void frame_insert(struct dict *dict, uintptr_t *entry, uintptr_t base, struct sub_node *node) {
    if (*entry == 0) {
        PUBLISH(*entry, (uintptr_t)node);
        return;
    }
    uintptr_t now = *entry;
    if (!is_leaf(now)) {
        struct sub_node *other = node_of(now);
        struct leaf *leaf = pool_take(&dict->leaves[0]);
        leaf_put(leaf, 0, 0, key_in(other, base), other);
        PUBLISH(leaf->count, 1);
        now = (uintptr_t)leaf | TYPE_LEAF;
    } else if (leaf_of(now)->count == leaf_capacities[class_of(now)]) {
        now = leaf_resize(dict, now, class_of(now) + 1);
    }
    leaf_insert(leaf_of(now), class_of(now), key_in(node, base), node);
    PUBLISH(*entry, now);
}

static void frame_remove(struct dict *dict, uintptr_t *entry, uintptr_t base, const struct sub_node *node) {
    uintptr_t now = *entry;
    if (!is_leaf(now)) {
        ASSERT(node_of(now) == node);
        PUBLISH(*entry, (uintptr_t)0);
        return;
    }
    struct leaf *leaf = leaf_of(now);
    unsigned class = class_of(now);
    size_t index = keys_up_to(leaf, leaf->count, key_in(node, base)) - 1;
    ASSERT(leaf_nodes(leaf, class)[index] == node);
    leaf_copy(leaf, class, index, leaf, class, index + 1, leaf->count - index - 1);
    PUBLISH(leaf->count, (uint16_t)(leaf->count - 1));
    if (leaf->count == 1) {
        PUBLISH(*entry, (uintptr_t)leaf_nodes(leaf, class)[0]);
        pool_give(&dict->leaves[class], leaf);
    } else if (class > 0 && leaf->count <= leaf_capacities[class - 1] / 2 && dict->leaves[class - 1].spare > 0) {
        PUBLISH(*entry, leaf_resize(dict, now, class - 1));
    }
}

/* What is done with a PROCESS at the entries of a range. */
enum change { CHANGE_INSERT, CHANGE_REMOVE, CHANGE_REPLACE };

struct update {
    struct dict *dict;
    enum change change;
    struct sub_node *node;
    struct sub_node *to; /* that takes its place */
    uintptr_t first;     /* the range, as offsets */
    uintptr_t last;
};

static void frame_replace(uintptr_t *entry, uintptr_t base, const struct sub_node *node, struct sub_node *to) {
    if (!is_leaf(*entry)) {
        PUBLISH(*entry, (uintptr_t)to);
        return;
    }
    const struct leaf *leaf = leaf_of(*entry);
    struct sub_node **place =
        &leaf_nodes(leaf, class_of(*entry))[keys_up_to(leaf, leaf->count, key_in(node, base)) - 1];
    ASSERT(*place == node);
    PUBLISH(*place, to);
}

static void change_frame(const struct update *update, uintptr_t *entry, uintptr_t base) {
    switch (update->change) {
    case CHANGE_INSERT:
        frame_insert(update->dict, entry, base, update->node);
        break;
    case CHANGE_REMOVE:
        frame_remove(update->dict, entry, base, update->node);
        break;
    default:
        frame_replace(entry, base, update->node, update->to);
    }
}

/* The entry of a number of frames that the range covers: the PROCESS alone has them. */
static void change_whole(const struct update *update, uintptr_t *entry) {
    ASSERT(*entry == (update->change == CHANGE_INSERT ? 0 : (uintptr_t)update->node));
    uintptr_t now = update->change == CHANGE_INSERT    ? (uintptr_t)update->node
                    : update->change == CHANGE_REPLACE ? (uintptr_t)update->to
                                                       : 0;
    PUBLISH(*entry, now);
}

/* The entry at a height, whose addresses begin at `base` and have some of the range. */
static void change(const struct update *update, uintptr_t *entry, unsigned height, uintptr_t base) {
    if (height == 0) {
        change_frame(update, entry, base);
        return;
    }
    uintptr_t last = base + (((uintptr_t)1 << span_bits(height)) - 1);
    if (type_of(*entry) != TYPE_TABLE) {
        if (update->first <= base && last <= update->last) {
            change_whole(update, entry);
            return;
        }
        PUBLISH(*entry, make_table(update->dict, *entry));
    }
    unsigned bits = span_bits(height - 1);
    uintptr_t from = update->first > base ? (update->first - base) >> bits : 0;
    uintptr_t to = update->last < last ? (update->last - base) >> bits : TABLE_SIZE - 1;
    for (uintptr_t i = from; i <= to; i++) {
        change(update, &table_of(*entry)[i], height - 1, base + (i << bits));
    }
}

static void apply(struct update update, uintptr_t first, uintptr_t last) {
    update.first = offset_of(first);
    update.last = offset_of(last);
    change(&update, &update.dict->root, update.dict->height, 0);
}

/* The frame behind that of v_address, as a virtual address. */
static uintptr_t next_frame(uintptr_t v_address) {
    return (offset_of(v_address) | (FRAME - 1)) + 1 + MAIN_CHAIN_START;
}

/* How many levels of tables reach as far as v_address. */
static unsigned height_for(uintptr_t v_address) {
    unsigned height = 0;
    while (offset_of(v_address) >> span_bits(height) != 0) {
        height++;
    }
    return height;
}

/* The tables reach as far as v_address. */
static void raise(struct dict *dict, uintptr_t v_address) {
    for (unsigned height = height_for(v_address); dict->height < height;) {
        uintptr_t root = dict->root;
        if (root != 0) {
            uintptr_t table = make_table(dict, 0);
            PUBLISH(table_of(table)[0], root);
            PUBLISH(dict->root, table);
        }
        PUBLISH(dict->height, dict->height + 1);
    }
}

/* The entry of a frame as it is, 0 where there is no table for it. */
static uintptr_t frame_entry(const struct dict *dict, uintptr_t v_address) {
    uintptr_t offset = offset_of(v_address);
    unsigned height = dict->height;
    uintptr_t entry = offset >> span_bits(height) == 0 ? dict->root : 0;
    while (type_of(entry) == TYPE_TABLE) {
        height--;
        entry = table_of(entry)[offset >> span_bits(height) & (TABLE_SIZE - 1)];
    }
    return entry;
}

/* Reserves the leaf that one more PROCESS in a frame takes. */
static int reserve_leaf(struct dict *dict, uintptr_t v_address) {
    uintptr_t entry = frame_entry(dict, v_address);
    if (entry == 0) {
        return 0;
    }
    if (!is_leaf(entry)) {
        return pool_reserve(&dict->leaves[0], 2);
    }
    unsigned class = class_of(entry);
    return leaf_of(entry)->count < leaf_capacities[class] ? 0 : pool_reserve(&dict->leaves[class + 1], 2);
}

int dict_reserve(struct dict *dict, uintptr_t start, uintptr_t last) {
    int error = pool_reserve(&dict->tables, 3 * HEIGHT_MAX); /* the way to both ends, and up */
    if (error == 0) {
        error = reserve_leaf(dict, start);
    }
    return error != 0 ? error : reserve_leaf(dict, last);
}

void dict_insert(struct dict *dict, struct sub_node *node) {
    begin_change(dict);
    raise(dict, node->last);
    apply((struct update){.dict = dict, .change = CHANGE_INSERT, .node = node}, node->start, node->last);
    dict->count++;
    end_change(dict);
}

void dict_remove(struct dict *dict, struct sub_node *node) {
    begin_change(dict);
    apply((struct update){.dict = dict, .change = CHANGE_REMOVE, .node = node}, node->start, node->last);
    dict->count--;
    end_change(dict);
}

void dict_extend(struct dict *dict, struct sub_node *node, uintptr_t last) {
    begin_change(dict);
    raise(dict, last);
    uintptr_t first = next_frame(node->last);
    if (first <= last) {
        apply((struct update){.dict = dict, .change = CHANGE_INSERT, .node = node}, first, last);
    }
    PUBLISH(node->last, last);
    end_change(dict);
}

void dict_cut(struct dict *dict, struct sub_node *node, uintptr_t last) {
    begin_change(dict);
    uintptr_t first = next_frame(last);
    if (first <= node->last) {
        apply((struct update){.dict = dict, .change = CHANGE_REMOVE, .node = node}, first, node->last);
    }
    PUBLISH(node->last, last);
    end_change(dict);
}

void dict_move(struct dict *dict, struct sub_node *node, char *physical) {
    begin_change(dict);
    PUBLISH(node->physical, physical);
    end_change(dict);
}

void dict_replace(struct dict *dict, struct sub_node *from, struct sub_node *to) {
    begin_change(dict);
    apply((struct update){.dict = dict, .change = CHANGE_REPLACE, .node = from, .to = to}, from->start, from->last);
    end_change(dict);
}

/* The place of the entry that leads to a frame's leaf. */
static uintptr_t *leaf_entry(struct dict *dict, const struct leaf *leaf, unsigned class) {
    /* A PROCESS with its start in the frame: only the first may begin before it. */
    uintptr_t offset = offset_of(leaf_nodes(leaf, class)[1]->start);
    uintptr_t *entry = &dict->root;
    for (unsigned height = dict->height; type_of(*entry) == TYPE_TABLE; height--) {
        entry = &table_of(*entry)[offset >> span_bits(height - 1) & (TABLE_SIZE - 1)];
    }
    return entry;
}

struct leaf_move {
    struct dict *dict;
    unsigned class;
};

static void move_leaf(void *from, void *to, void *context) {
    const struct leaf_move *move = context;
    const struct leaf *old = from;
    struct leaf *new = to;
    begin_change(move->dict);
    leaf_copy(new, move->class, 0, old, move->class, 0, old->count);
    PUBLISH(new->count, old->count);
    PUBLISH(*leaf_entry(move->dict, old, move->class), (uintptr_t) new | (TYPE_LEAF + move->class));
    end_change(move->dict);
}

size_t dict_gather(struct dict *dict, unsigned class, size_t limit) {
    return pool_gather(&dict->leaves[class], limit, move_leaf, &(struct leaf_move){dict, class});
}

/* --- Life -------------------------------------------------------------------------------------------------------- */

void dict_init(struct dict *dict) {
    PUBLISH(dict->height, 0);
    PUBLISH(dict->root, (uintptr_t)0);
    dict->count = 0;
    pool_init(&dict->tables, TABLE_SIZE * sizeof(uintptr_t));
    for (unsigned class = 0; class < DICT_LEAVES; class ++) {
        pool_init(&dict->leaves[class], leaf_size(class));
    }
}

size_t dict_bytes(const struct dict *dict) {
    size_t bytes = dict->tables.bytes;
    for (unsigned class = 0; class < DICT_LEAVES; class ++) {
        bytes += dict->leaves[class].bytes;
    }
    return bytes;
}

void dict_finish(struct dict *dict) {
    begin_change(dict);
    PUBLISH(dict->root, (uintptr_t)0);
    PUBLISH(dict->height, 0);
    end_change(dict);
    dict->count = 0;
    pool_finish(&dict->tables);
    for (unsigned class = 0; class < DICT_LEAVES; class ++) {
        pool_finish(&dict->leaves[class]);
    }
}

/* --- What must hold ---------------------------------------------------------------------------------------------- */

/* What has been seen so far: the leaves of each class, and the tables. */
struct audit {
    size_t tables;
    size_t leaves[DICT_LEAVES];
};

static const char *leaf_flaw(uintptr_t entry, uintptr_t base) {
    const struct leaf *leaf = leaf_of(entry);
    unsigned class = class_of(entry);
    if (leaf->count < 2 || leaf->count > leaf_capacities[class]) {
        return "dictionary: a leaf has too few or too many PROCESSes";
    }
    for (size_t i = 0; i < leaf->count; i++) {
        if (leaf->keys[i] != key_in(leaf_nodes(leaf, class)[i], base) ||
            (i > 0 && leaf->keys[i - 1] >= leaf->keys[i])) {
            return "dictionary: a leaf's keys are wrong or out of order";
        }
    }
    return NULL;
}

static const char *entry_flaw(struct audit *audit, uintptr_t entry, unsigned height, uintptr_t base) {
    if (is_leaf(entry)) {
        audit->leaves[class_of(entry)]++;
        return height == 0 ? leaf_flaw(entry, base) : "dictionary: a leaf above the frames";
    }
    if (type_of(entry) == TYPE_TABLE) {
        audit->tables++;
        const char *flaw = height == 0 ? "dictionary: a table below the frames" : NULL;
        for (size_t i = 0; flaw == NULL && i < TABLE_SIZE; i++) {
            flaw = entry_flaw(audit, table_of(entry)[i], height - 1, base + (i << span_bits(height - 1)));
        }
        return flaw;
    }
    const struct sub_node *node = node_of(entry);
    uintptr_t last = base + (((uintptr_t)1 << span_bits(height)) - 1);
    if (node != NULL &&
        (sub_node_kind(node) == SEGMENT_HOLE || offset_of(node->start) > last || offset_of(node->last) < base ||
         (height > 0 && offset_of(node->start) > base) || (height > 0 && offset_of(node->last) < last))) {
        return "dictionary: an entry is not of a PROCESS that has its addresses";
    }
    return NULL;
}

bool dict_valid(const struct dict *dict, const char **why) {
    struct audit audit = {0};
    const char *flaw = (dict->sequence & 1) != 0 ? "dictionary: a change without an end"
                                                 : entry_flaw(&audit, dict->root, dict->height, 0);
    if (flaw == NULL && audit.tables != dict->tables.used) {
        flaw = "dictionary: the tables are not what is taken";
    }
    for (unsigned class = 0; flaw == NULL && class < DICT_LEAVES; class ++) {
        if (audit.leaves[class] != dict->leaves[class].used) {
            flaw = "dictionary: the leaves are not what is taken";
        } else {
            (void)pool_valid(&dict->leaves[class], &flaw);
        }
    }
    if (flaw != NULL) {
        *why = flaw;
    }
    return flaw == NULL;
}
