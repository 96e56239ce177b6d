/* dict_change.c - changes of the dictionary by the lock's holder, while others read it. */
#include "base/fault.h"
#include "dict_entry.h"

/* In between, readers discard their results. The fence keeps later writes, even those after the end and before the next
 * beginning, from becoming visible before the odd number, because a cell may become something else by then.
 * ThreadSanitizer does not support fences, so there an exchange does the same. */
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

/* If the entry was a sub node for all of its addresses, so is each entry of the table. */
static uintptr_t make_table(struct dict *dict, uintptr_t entry) {
    uintptr_t *table = pool_take(&dict->tables); /* tables are never given back, so it reads as zero */
    for (size_t i = 0; entry != 0 && i < TABLE_SIZE; i++) {
        PUBLISH(table[i], entry);
    }
    return (uintptr_t)table | TYPE_TABLE;
}

/* To a cell of another kind; returns the frame's new entry. */
static uintptr_t leaf_resize(struct dict *dict, uintptr_t entry, unsigned kind, uintptr_t base) {
    struct leaf *to = pool_take(&dict->leaves[kind]);
    leaf_fill(to, kind, leaf_of(entry), kind_of(entry), frame_at(dict, base));
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
        struct leaf *leaf = pool_take(&dict->leaves[0]);
        leaf_clear(leaf, 0, frame_physical(other, base));
        leaf_insert(leaf, 0, frame_at(dict, base), other);
        now = (uintptr_t)leaf | TYPE_LEAF;
    } else if (leaf_count(leaf_of(now), kind_of(now)) == leaf_room(kind_of(now))) {
        now = leaf_resize(dict, now, kind_of(now) + 1, base);
        pool_give(&dict->leaves[kind_of(*entry)], leaf_of(*entry));
    }
    leaf_insert(leaf_of(now), kind_of(now), frame_at(dict, base), node);
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
    leaf_remove(leaf, kind, frame_at(dict, base), node);
    size_t count = leaf_count(leaf, kind);
    if (count == 1) {
        PUBLISH(*entry, (uintptr_t)leaf_nodes(leaf, kind)[0]);
        pool_give(&dict->leaves[kind], leaf);
    } else if (kind > 0 && count <= leaf_room(kind - 1) * 3 / 4 && dict->leaves[kind - 1].spare > 0) {
        PUBLISH(*entry, leaf_resize(dict, now, kind - 1, base));
        pool_give(&dict->leaves[kind], leaf);
    }
}

/* For a PROCESS whose end, tag or cell has changed; its cell is now `to`. */
static void frame_refresh(const struct dict *dict, uintptr_t *entry, uintptr_t base, const struct sub_node *node,
                          struct sub_node *to) {
    if (is_leaf(*entry)) {
        leaf_refresh(leaf_of(*entry), kind_of(*entry), frame_at(dict, base), node, to);
    } else {
        PUBLISH(*entry, (uintptr_t)to);
    }
}

enum change { CHANGE_INSERT, CHANGE_REMOVE, CHANGE_REFRESH };

struct update {
    struct dict *dict;
    enum change change;
    struct sub_node *node;
    struct sub_node *to; /* for CHANGE_REFRESH: the PROCESS itself, or its new cell */
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

/* Its addresses are all in the range, so the PROCESS has them alone. */
static void change_whole(const struct update *update, uintptr_t *entry) {
    ASSERT(*entry == (update->change == CHANGE_INSERT ? 0 : (uintptr_t)update->node));
    uintptr_t now = update->change == CHANGE_INSERT    ? (uintptr_t)update->node
                    : update->change == CHANGE_REFRESH ? (uintptr_t)update->to
                                                       : 0;
    PUBLISH(*entry, now);
}

/* Gives a frame with a full leaf a shortcut. A map is reserved unless the leaf became full while it was the root. */
static void add_shortcut(struct dict *dict, uintptr_t entry, struct leaf_frame frame, struct shortcut *shortcut) {
    struct pool *maps = &dict->leaves[DICT_MAPS];
    if (maps->spare == 0) {
        return;
    }
    void *map = pool_take(maps);
    if (dict->generations) {
        leaf_runs_fill(map, leaf_of(entry), kind_of(entry), frame);
    } else {
        leaf_map_fill(map, leaf_of(entry), kind_of(entry), frame);
    }
    PUBLISH(shortcut->physical, frame_physical(leaf_nodes(leaf_of(entry), kind_of(entry))[0], frame.base));
    PUBLISH(shortcut->map, map);
}

/* Makes a frame's shortcut agree with its entry after a change. */
static void update_shortcut(const struct update *update, uintptr_t entry, uintptr_t base, struct shortcut *shortcut) {
    struct dict *dict = update->dict;
    struct leaf_frame frame = frame_at(dict, base);
    bool removed = update->change == CHANGE_REMOVE;
    void *map = shortcut->map;
    if (!is_leaf(entry) || leaf_is_short(kind_of(entry))) {
        if (map != NULL) {
            PUBLISH(shortcut->map, NULL);
            pool_give(&dict->leaves[DICT_MAPS], map);
        }
    } else if (map == NULL) {
        add_shortcut(dict, entry, frame, shortcut);
    } else if (dict->generations) {
        leaf_runs_update(map, leaf_of(entry), kind_of(entry), frame, update->node, removed);
    } else {
        leaf_map_update(map, leaf_of(entry), frame, update->node, removed);
    }
}

/* Its addresses begin at `base` and include some of the range. */
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
    uintptr_t *table = table_of(*entry);
    for (uintptr_t i = from; i <= to; i++) {
        change(update, &table[i], height - 1, base + (i << bits));
        if (height == 1 && update->dict->shortcuts) {
            update_shortcut(update, table[i], base + (i << bits), table_shortcut(table, i));
        }
    }
}

static void apply(struct update update, uintptr_t first, uintptr_t last) {
    update.first = offset_of(first);
    update.last = offset_of(last);
    change(&update, &update.dict->root, update.dict->height, 0);
}

static uintptr_t next_frame(uintptr_t v_address) {
    return (offset_of(v_address) | (FRAME - 1)) + 1 + MAIN_CHAIN_START;
}

static unsigned height_for(uintptr_t v_address) {
    unsigned height = 0;
    while (offset_of(v_address) >> span_bits(height) != 0) {
        height++;
    }
    return height;
}

/* Adds levels of tables until they reach v_address. */
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

static uintptr_t *entry_of(struct dict *dict, uintptr_t offset) {
    uintptr_t *entry = &dict->root;
    for (unsigned height = dict->height; type_of(*entry) == TYPE_TABLE; height--) {
        entry = &table_of(*entry)[offset >> span_bits(height - 1) & (TABLE_SIZE - 1)];
    }
    return entry;
}

/* For both ends of a PROCESS, if a leaf of this kind may have one. */
static int reserve_maps(struct dict *dict, unsigned kind) {
    return !dict->shortcuts || leaf_is_short(kind) ? 0 : pool_reserve(&dict->leaves[DICT_MAPS], 2);
}

/* For one more PROCESS in a frame. */
static int reserve_leaf(struct dict *dict, uintptr_t v_address) {
    uintptr_t offset = offset_of(v_address);
    uintptr_t entry = offset >> span_bits(dict->height) == 0 ? *entry_of(dict, offset) : 0;
    if (entry == 0) {
        return 0;
    }
    if (!is_leaf(entry)) {
        return pool_reserve(&dict->leaves[0], 2);
    }
    unsigned kind = kind_of(entry);
    int error = 0;
    if (leaf_count(leaf_of(entry), kind) == leaf_room(kind)) {
        kind++;
        error = pool_reserve(&dict->leaves[kind], 2);
    }
    return error != 0 ? error : reserve_maps(dict, kind);
}

int dict_reserve(struct dict *dict, uintptr_t start, uintptr_t last) {
    int error = pool_reserve(&dict->tables, (size_t)3 * HEIGHT_MAX); /* the paths to both ends, and new levels */
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

/* In the frames from first to last. */
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

struct leaf_move {
    struct dict *dict;
    unsigned kind;
};

static void move_leaf(void *from, void *to, void *context) {
    const struct leaf_move *move = context;
    /* The second PROCESS starts in the leaf's frame; the first may begin before it. */
    uintptr_t offset = offset_of(leaf_nodes(from, move->kind)[1]->start);
    begin_change(move->dict);
    leaf_fill(to, move->kind, from, move->kind, frame_at(move->dict, offset & ~(FRAME - 1)));
    PUBLISH(*entry_of(move->dict, offset), (uintptr_t)to | (TYPE_LEAF + move->kind));
    end_change(move->dict);
}

size_t dict_gather(struct dict *dict, unsigned kind, size_t limit) {
    return pool_gather(&dict->leaves[kind], limit, move_leaf, &(struct leaf_move){dict, kind});
}

void dict_init(struct dict *dict, uint32_t number, enum dict_moves moves) {
    dict->generations = number != 0;
    PUBLISH(dict->shortcuts, moves == DICT_BLOCKS_STAY);
    PUBLISH(dict->readers, moves == DICT_BLOCKS_MOVE_ALWAYS ? DICT_NO_READERS : number);
    PUBLISH(dict->height, 0);
    PUBLISH(dict->root, (uintptr_t)0);
    dict->count = 0;
    pool_init(&dict->tables, table_bytes(dict->shortcuts));
    for (unsigned kind = 0; kind < LEAF_KINDS; kind++) {
        pool_init(&dict->leaves[kind], leaf_size(kind));
    }
    pool_init(&dict->leaves[DICT_MAPS], dict->generations ? sizeof(struct leaf_runs) : sizeof(struct leaf_map));
}

void dict_finish(struct dict *dict) {
    begin_change(dict);
    PUBLISH(dict->root, (uintptr_t)0);
    PUBLISH(dict->height, 0);
    PUBLISH(dict->readers, DICT_NO_READERS);
    end_change(dict);
    dict->count = 0;
    pool_finish(&dict->tables);
    for (unsigned kind = 0; kind <= DICT_MAPS; kind++) {
        pool_finish(&dict->leaves[kind]);
    }
}
