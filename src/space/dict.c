#include "dict.h"

#include "base/bits.h"
#include "base/fault.h"
#include "handle.h"
#include "main_chain.h"

#define TABLE_BITS 9u
#define TABLE_SIZE ((size_t)1 << TABLE_BITS)
#define HEIGHT_MAX ((DICT_ADDRESS_BITS - FRAME_BITS) / TABLE_BITS)

/* What an entry is stands in its lowest bits: cells begin at multiples of 64. */
#define TYPE_MASK ((uintptr_t)POOL_GRAIN - 1)
#define TYPE_NODE 0u
#define TYPE_TABLE 1u
#define TYPE_LEAF 2u /* and the kind of the leaf's size on top */

static unsigned type_of(uintptr_t entry) {
    return (unsigned)(entry & TYPE_MASK);
}

static bool is_leaf(uintptr_t entry) {
    return type_of(entry) >= TYPE_LEAF;
}

static unsigned kind_of(uintptr_t entry) {
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

/* The bits of an offset that an entry at this height stands for. */
static unsigned span_bits(unsigned height) {
    return FRAME_BITS + TABLE_BITS * height;
}

/* --- Reading ----------------------------------------------------------------------------------------------------- */

static struct sub_node *search_leaf(uintptr_t entry, uint16_t key) {
    const struct leaf *leaf = leaf_of(entry);
    unsigned kind = kind_of(entry);
    size_t index = leaf_keys_up_to(leaf, kind, key);
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
            return 0; /* the root and the height are not of one moment */
        }
        height--;
        entry = OBSERVE(table_of(entry)[offset >> span_bits(height) & (TABLE_SIZE - 1)]);
    }
    return entry;
}

/* The last PROCESS at or before an offset, of those that have addresses in its frame. */
static struct sub_node *search(const struct dict *dict, uintptr_t offset) {
    uintptr_t entry = find_entry(dict, offset);
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

/* Whether what has been seen since the sequence was read counts. All loads before this one are acquire, so that none
 * comes after it; the partners are PUBLISH and begin_change. */
ALWAYS_INLINE bool is_unchanged(const struct dict *dict, uint64_t sequence) {
    return __atomic_load_n(&dict->sequence, __ATOMIC_RELAXED) == sequence && (sequence & 1) == 0;
}

/* The same by a sub node: of a PROCESS that is alone in its frame, or whose bytes have a place of their own. */
NOINLINE static void *translate_by_node(const struct dict *dict, const struct sub_node *node, uintptr_t v_address,
                                        uint16_t tag, uint64_t sequence) {
    if (UNLIKELY(node == NULL)) {
        return NULL;
    }
    uintptr_t start = OBSERVE(node->start);
    uintptr_t last = OBSERVE(node->last);
    uint32_t own = OBSERVE(node->tag);
    char *physical = observe_physical(node);
    bool fits = v_address >= start && v_address <= last && leaf_tag_of(own, dict->generations) == tag;
    return fits && is_unchanged(dict, sequence) ? physical + (v_address - start) : NULL;
}

HOT void *dict_translate(const struct dict *dict, uintptr_t handle) {
    uint64_t sequence = OBSERVE(dict->sequence);
    uintptr_t v_address = handle_address(handle);
    uintptr_t offset = offset_of(v_address);
    if (UNLIKELY(handle_number(handle) != OBSERVE(dict->readers))) {
        return NULL;
    }
    uintptr_t entry = find_entry(dict, offset);
    uint16_t tag = handle_tag(handle);
    if (UNLIKELY(!is_leaf(entry))) {
        return translate_by_node(dict, node_of(entry), v_address, tag, sequence);
    }
    const struct leaf *leaf = leaf_of(entry);
    unsigned kind = kind_of(entry);
    uint16_t key = key_of(offset);
    /* The facts of most leaves are in these lines: they come while the keys do. */
    __builtin_prefetch((const char *)leaf + POOL_GRAIN);
    __builtin_prefetch((const char *)leaf + 2 * POOL_GRAIN);
    __builtin_prefetch((const char *)leaf + 3 * POOL_GRAIN);
    size_t index = leaf_keys_up_to(leaf, kind, key) - 1;
    if (UNLIKELY(index >= leaf_room(kind))) {
        return NULL;
    }
    const struct fact *fact = &leaf_facts(leaf, kind)[index];
    if (UNLIKELY(OBSERVE(fact->end) <= key || OBSERVE(fact->tag) != tag)) {
        return NULL;
    }
    char *physical = OBSERVE(leaf->physical);
    if (UNLIKELY(physical == NULL)) {
        return translate_by_node(dict, OBSERVE(leaf_nodes(leaf, kind)[index]), v_address, tag, sequence);
    }
    return LIKELY(is_unchanged(dict, sequence)) ? physical + (offset & (FRAME - 1)) : NULL;
}

/* The last PROCESS that an entry leads to. */
static struct sub_node *last_of(uintptr_t entry) {
    if (is_leaf(entry)) {
        const struct leaf *leaf = leaf_of(entry);
        return leaf_nodes(leaf, kind_of(entry))[leaf->count - 1];
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

/* A leaf's entries in a cell of another kind: the new entry of its frame. */
static uintptr_t leaf_resize(struct dict *dict, uintptr_t entry, unsigned kind) {
    struct leaf *to = pool_take(&dict->leaves[kind]);
    leaf_fill(to, kind, leaf_of(entry), kind_of(entry));
    return (uintptr_t)to | (TYPE_LEAF + kind);
}

static void frame_insert(struct dict *dict, uintptr_t *entry, uintptr_t base, struct sub_node *node) {
    if (*entry == 0) {
        PUBLISH(*entry, (uintptr_t)node);
        return;
    }
    uintptr_t now = *entry;
    if (!is_leaf(now)) {
        struct sub_node *other = node_of(now);
        char *physical = other->region == NULL ? other->physical + base - offset_of(other->start) : NULL;
        struct leaf *leaf = pool_take(&dict->leaves[0]);
        leaf_clear(leaf, 0, physical);
        leaf_insert(leaf, 0, base, other, dict->generations);
        now = (uintptr_t)leaf | TYPE_LEAF;
    } else if (leaf_of(now)->count == leaf_room(kind_of(now))) {
        now = leaf_resize(dict, now, kind_of(now) + 1);
        pool_give(&dict->leaves[kind_of(*entry)], leaf_of(*entry));
    }
    leaf_insert(leaf_of(now), kind_of(now), base, node, dict->generations);
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
    unsigned kind = kind_of(now);
    leaf_remove(leaf, kind, leaf_index(leaf, kind, base, node));
    if (leaf->count == 1) {
        PUBLISH(*entry, (uintptr_t)leaf_nodes(leaf, kind)[0]);
        pool_give(&dict->leaves[kind], leaf);
    } else if (kind > 0 && leaf->count <= leaf_room(kind - 1) * 3 / 4 && dict->leaves[kind - 1].spare > 0) {
        PUBLISH(*entry, leaf_resize(dict, now, kind - 1));
        pool_give(&dict->leaves[kind], leaf);
    }
}

/* A PROCESS has another end or tag, or another cell: `to`. */
static void frame_refresh(const struct dict *dict, uintptr_t *entry, uintptr_t base, const struct sub_node *node,
                          struct sub_node *to) {
    if (is_leaf(*entry)) {
        struct leaf *leaf = leaf_of(*entry);
        unsigned kind = kind_of(*entry);
        leaf_describe(leaf, kind, leaf_index(leaf, kind, base, node), base, to, dict->generations);
    } else {
        PUBLISH(*entry, (uintptr_t)to);
    }
}

/* What is done with a PROCESS at the entries of a range. */
enum change { CHANGE_INSERT, CHANGE_REMOVE, CHANGE_REFRESH };

struct update {
    struct dict *dict;
    enum change change;
    struct sub_node *node;
    struct sub_node *to; /* the one to refresh it by: itself, or one that takes its place */
    uintptr_t first;     /* the range, as offsets */
    uintptr_t last;
};

static void change_frame(const struct update *update, uintptr_t *entry, uintptr_t base) {
    switch (update->change) {
    case CHANGE_INSERT:
        frame_insert(update->dict, entry, base, update->node);
        break;
    case CHANGE_REMOVE:
        frame_remove(update->dict, entry, base, update->node);
        break;
    default:
        frame_refresh(update->dict, entry, base, update->node, update->to);
    }
}

/* The entry of a number of frames that the range covers: the PROCESS alone has them. */
static void change_whole(const struct update *update, uintptr_t *entry) {
    ASSERT(*entry == (update->change == CHANGE_INSERT ? 0 : (uintptr_t)update->node));
    uintptr_t now = update->change == CHANGE_INSERT    ? (uintptr_t)update->node
                    : update->change == CHANGE_REFRESH ? (uintptr_t)update->to
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
    unsigned kind = kind_of(entry);
    return leaf_of(entry)->count < leaf_room(kind) ? 0 : pool_reserve(&dict->leaves[kind + 1], 2);
}

int dict_reserve(struct dict *dict, uintptr_t start, uintptr_t last) {
    int error = pool_reserve(&dict->tables, (size_t)3 * HEIGHT_MAX); /* the way to both ends, and up */
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

/* What the frames from first to last say of a PROCESS is out of date. */
static void refresh(struct dict *dict, struct sub_node *node, struct sub_node *to, uintptr_t first, uintptr_t last) {
    apply((struct update){.dict = dict, .change = CHANGE_REFRESH, .node = node, .to = to}, first, last);
}

void dict_extend(struct dict *dict, struct sub_node *node, uintptr_t last, uint32_t tag) {
    begin_change(dict);
    raise(dict, last);
    uintptr_t old = node->last;
    uintptr_t first = next_frame(old);
    PUBLISH(node->last, last);
    PUBLISH(node->tag, tag);
    refresh(dict, node, node, node->start, old);
    if (first <= last) {
        apply((struct update){.dict = dict, .change = CHANGE_INSERT, .node = node}, first, last);
    }
    end_change(dict);
}

void dict_cut(struct dict *dict, struct sub_node *node, uintptr_t last) {
    begin_change(dict);
    uintptr_t first = next_frame(last);
    if (first <= node->last) {
        apply((struct update){.dict = dict, .change = CHANGE_REMOVE, .node = node}, first, node->last);
    }
    PUBLISH(node->last, last);
    refresh(dict, node, node, last, last);
    end_change(dict);
}

void dict_set_tag(struct dict *dict, struct sub_node *node, uint32_t tag) {
    begin_change(dict);
    PUBLISH(node->tag, tag);
    refresh(dict, node, node, node->start, node->last);
    end_change(dict);
}

void dict_move(struct dict *dict, struct sub_node *node, char *physical) {
    begin_change(dict);
    PUBLISH(node->physical, physical);
    end_change(dict);
}

void dict_replace(struct dict *dict, struct sub_node *from, struct sub_node *to) {
    begin_change(dict);
    refresh(dict, from, to, from->start, from->last);
    end_change(dict);
}

/* The place of the entry that leads to a frame's leaf. */
static uintptr_t *leaf_entry(struct dict *dict, const struct leaf *leaf, unsigned kind) {
    /* A PROCESS with its start in the frame: only the first may begin before it. */
    uintptr_t offset = offset_of(leaf_nodes(leaf, kind)[1]->start);
    uintptr_t *entry = &dict->root;
    for (unsigned height = dict->height; type_of(*entry) == TYPE_TABLE; height--) {
        entry = &table_of(*entry)[offset >> span_bits(height - 1) & (TABLE_SIZE - 1)];
    }
    return entry;
}

struct leaf_move {
    struct dict *dict;
    unsigned kind;
};

static void move_leaf(void *from, void *to, void *context) {
    const struct leaf_move *move = context;
    const struct leaf *old = from;
    struct leaf *new = to;
    begin_change(move->dict);
    leaf_fill(new, move->kind, old, move->kind);
    PUBLISH(*leaf_entry(move->dict, old, move->kind), (uintptr_t) new | (TYPE_LEAF + move->kind));
    end_change(move->dict);
}

size_t dict_gather(struct dict *dict, unsigned kind, size_t limit) {
    return pool_gather(&dict->leaves[kind], limit, move_leaf, &(struct leaf_move){dict, kind});
}

/* --- Life -------------------------------------------------------------------------------------------------------- */

void dict_init(struct dict *dict, uint32_t number, bool watched) {
    dict->generations = number != 0;
    PUBLISH(dict->readers, watched ? DICT_NO_READERS : number);
    PUBLISH(dict->height, 0);
    PUBLISH(dict->root, (uintptr_t)0);
    dict->count = 0;
    pool_init(&dict->tables, TABLE_SIZE * sizeof(uintptr_t));
    for (unsigned kind = 0; kind < LEAF_KINDS; kind++) {
        pool_init(&dict->leaves[kind], leaf_size(kind));
    }
}

size_t dict_bytes(const struct dict *dict) {
    size_t bytes = dict->tables.bytes;
    for (unsigned kind = 0; kind < LEAF_KINDS; kind++) {
        bytes += dict->leaves[kind].bytes;
    }
    return bytes;
}

void dict_finish(struct dict *dict) {
    begin_change(dict);
    PUBLISH(dict->root, (uintptr_t)0);
    PUBLISH(dict->height, 0);
    PUBLISH(dict->readers, DICT_NO_READERS);
    end_change(dict);
    dict->count = 0;
    pool_finish(&dict->tables);
    for (unsigned kind = 0; kind < LEAF_KINDS; kind++) {
        pool_finish(&dict->leaves[kind]);
    }
}

/* --- What must hold ---------------------------------------------------------------------------------------------- */

/* What has been seen so far: the leaves of each kind, and the tables. */
struct audit {
    const struct dict *dict;
    size_t tables;
    size_t leaves[LEAF_KINDS];
};

static const char *entry_flaw(struct audit *audit, uintptr_t entry, unsigned height, uintptr_t base) {
    if (is_leaf(entry)) {
        audit->leaves[kind_of(entry)]++;
        return height == 0 ? leaf_flaw(leaf_of(entry), kind_of(entry), base, audit->dict->generations)
                           : "dictionary: a leaf above the frames";
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
    struct audit audit = {.dict = dict};
    const char *flaw = (dict->sequence & 1) != 0 ? "dictionary: a change without an end"
                                                 : entry_flaw(&audit, dict->root, dict->height, 0);
    if (flaw == NULL && audit.tables != dict->tables.used) {
        flaw = "dictionary: the tables are not what is taken";
    }
    for (unsigned kind = 0; flaw == NULL && kind < LEAF_KINDS; kind++) {
        if (audit.leaves[kind] != dict->leaves[kind].used) {
            flaw = "dictionary: the leaves are not what is taken";
        } else {
            (void)pool_valid(&dict->leaves[kind], &flaw);
        }
    }
    if (flaw != NULL) {
        *why = flaw;
    }
    return flaw == NULL;
}
