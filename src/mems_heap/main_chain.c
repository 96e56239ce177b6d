#include "main_chain.h"

#include <errno.h>
#include <stdatomic.h>

#include "base/fault.h"
#include "os/os.h"

void main_chain_init(struct main_chain *chain, uintptr_t limit, uint32_t generation) {
    *chain = (struct main_chain){.next = MAIN_CHAIN_START, .limit = limit, .generation = generation};
    list_init(&chain->list);
}

struct main_node *main_chain_find(const struct main_chain *chain, uintptr_t v_address) {
    struct range_node *range = range_tree_find(&chain->dict, v_address);
    return range != NULL ? CONTAINER_OF(range, struct main_node, range) : NULL;
}

struct main_node *main_chain_before(const struct main_chain *chain, const struct main_node *main) {
    return main->link.prev != &chain->list ? main_node_of(main->link.prev) : NULL;
}

struct main_node *main_chain_after(const struct main_chain *chain, const struct main_node *main) {
    return main->link.next != &chain->list ? main_node_of(main->link.next) : NULL;
}

static void insert_range(struct range_tree *tree, struct range_node *range, uintptr_t start, uintptr_t last) {
    bool inserted = range_tree_insert(tree, range, start, last);
    ASSERT(inserted);
}

static void resize_range(struct range_tree *tree, struct range_node *range, uintptr_t last) {
    bool resized = range_tree_resize(tree, range, last);
    ASSERT(resized);
}

/* How many neighbours of start..last are memory of the chain. */
static size_t neighbours(const struct main_chain *chain, uintptr_t start, uintptr_t last) {
    return (size_t)(range_tree_find(&chain->memory, start - 1) != NULL) +
           (size_t)(range_tree_find(&chain->memory, last + 1) != NULL);
}

/* Over all spaces. Relaxed: only a bound. */
static _Atomic size_t all_pieces;

/* `more` may represent a negative number. */
static void count_pieces(struct main_chain *chain, size_t more) {
    chain->pieces += more;
    atomic_fetch_add_explicit(&all_pieces, more, memory_order_relaxed);
}

static int map(struct main_chain *chain, uintptr_t near, size_t size, uintptr_t *memory) {
    void *mapped;
    int error = os_map_near((void *)near, size, &mapped);
    if (error == 0) {
        *memory = (uintptr_t)mapped;
        chain->mapped_bytes += size;
        chain->maps++;
    }
    return error;
}

/* A main node's memory has just been mapped at `memory`. */
static void remember(struct main_chain *chain, struct main_node *main, uintptr_t memory) {
    uintptr_t last = memory + main_node_size(main) - 1;
    count_pieces(chain, 1 - neighbours(chain, memory, last));
    insert_range(&chain->memory, &main->memory, memory, last);
}

void main_chain_forget(struct main_chain *chain, struct main_node *main) {
    range_tree_remove(&chain->memory, &main->memory);
    count_pieces(chain, neighbours(chain, main->memory.start, main->memory.last) - 1);
    main->memory.start = 0;
}

bool main_chain_may_cut(const struct main_chain *chain, const struct main_node *main, uintptr_t start, uintptr_t end) {
    uintptr_t first = (uintptr_t)main_node_physical(main, start);
    return neighbours(chain, first, first + (end - start) - 1) < 2 ||
           atomic_load_explicit(&all_pieces, memory_order_relaxed) < MAIN_CHAIN_PIECES_MAX;
}

int main_chain_unmap(struct main_chain *chain, const struct main_node *main, uintptr_t start, uintptr_t end) {
    int error = os_unmap(main_node_physical(main, start), end - start);
    if (error == 0) {
        chain->mapped_bytes -= end - start;
        chain->unmaps++;
    }
    return error;
}

/* After the link `at`, without segments and memory. */
static struct main_node *insert(struct main_chain *chain, struct nodes *nodes, struct list *at, uintptr_t start,
                                uintptr_t last) {
    struct main_node *main = pool_take(&nodes->main);
    *main = (struct main_node){0};
    list_init(&main->sub_chain);
    list_insert_after(at, &main->link);
    insert_range(&chain->dict, &main->range, start, last);
    return main;
}

int main_chain_extend(struct main_chain *chain, struct nodes *nodes, size_t size, struct sub_node **hole) {
    if (size > chain->limit - chain->next) {
        return ENOMEM;
    }
    uintptr_t memory;
    int error = map(chain, 0, size, &memory);
    if (error == 0) {
        struct main_node *main = insert(chain, nodes, chain->list.prev, chain->next, chain->next + size - 1);
        chain->next += size;
        remember(chain, main, memory);
        *hole = sub_chain_begin(nodes, main, chain->generation);
    }
    return error;
}

struct sub_node *main_chain_stretch(struct main_chain *chain, struct nodes *nodes, size_t size) {
    uintptr_t start = chain->next;
    chain->next += size;
    if (list_empty(&chain->list)) {
        struct main_node *main = insert(chain, nodes, &chain->list, start, chain->next - 1);
        return sub_chain_begin(nodes, main, chain->generation);
    }
    struct main_node *main = main_node_of(chain->list.prev);
    resize_range(&chain->dict, &main->range, chain->next - 1);
    return sub_chain_append(nodes, sub_node_of(main->sub_chain.prev), chain->next - 1, chain->generation);
}

struct main_node *main_chain_split(struct main_chain *chain, struct nodes *nodes, struct main_node *main,
                                   struct sub_node *segment, uintptr_t v_address) {
    if (segment->start < v_address) {
        segment = sub_chain_cut(nodes, segment, v_address);
    }
    uintptr_t last = main->range.last;
    resize_range(&chain->dict, &main->range, v_address - 1);
    struct main_node *rest = insert(chain, nodes, &main->link, v_address, last);
    if (main_node_has_memory(main)) {
        uintptr_t memory_last = main->memory.last;
        uintptr_t memory = (uintptr_t)main_node_physical(main, v_address);
        resize_range(&chain->memory, &main->memory, memory - 1);
        insert_range(&chain->memory, &rest->memory, memory, memory_last);
    }
    sub_chain_split(main, segment, rest);
    return rest;
}

/* Where the first `size` bytes would continue a neighbour's memory; 0: nowhere. */
static uintptr_t near(const struct main_chain *chain, const struct main_node *main, size_t size) {
    const struct main_node *before = main_chain_before(chain, main);
    const struct main_node *after = main_chain_after(chain, main);
    if (before != NULL && main_node_has_memory(before)) {
        return before->memory.last + 1;
    }
    bool whole = size == main_node_size(main);
    return whole && after != NULL && main_node_has_memory(after) ? after->memory.start - size : 0;
}

bool main_chain_continues(const struct main_chain *chain, const struct main_node *main) {
    const struct main_node *after = main_chain_after(chain, main);
    return after != NULL && main_node_has_memory(main) && main_node_has_memory(after) &&
           after->memory.start == main->memory.last + 1;
}

/* Lengthens a main node by the next, which has no segments left. */
static void absorb(struct main_chain *chain, struct nodes *nodes, struct main_node *main, struct main_node *next) {
    uintptr_t last = next->range.last;
    list_remove(&next->link);
    range_tree_remove(&chain->dict, &next->range);
    pool_give(&nodes->main, next);
    resize_range(&chain->dict, &main->range, last);
}

void main_chain_weld(struct main_chain *chain, struct nodes *nodes, struct main_node *main) {
    struct main_node *next = main_chain_after(chain, main);
    uintptr_t memory_last = next->memory.last;
    sub_chain_append_all(main, next);
    range_tree_remove(&chain->memory, &next->memory);
    resize_range(&chain->memory, &main->memory, memory_last);
    absorb(chain, nodes, main, next);
}

int main_chain_back(struct main_chain *chain, struct nodes *nodes, struct main_node *main, size_t size,
                    struct sub_node **rest) {
    ASSERT(!main_node_has_memory(main) && size <= main_node_size(main));
    uintptr_t memory;
    int error = map(chain, near(chain, main, size), size, &memory);
    if (error != 0) {
        return error;
    }
    *rest = NULL;
    if (size < main_node_size(main)) {
        uintptr_t end = main->range.start + size;
        *rest = sub_chain_first(main_chain_split(chain, nodes, main, sub_chain_first(main), end));
    }
    remember(chain, main, memory);
    return 0;
}

void main_chain_join(struct main_chain *chain, struct nodes *nodes, struct main_node *main) {
    struct main_node *next = main_chain_after(chain, main);
    struct sub_node *hole = sub_chain_first(main);
    struct sub_node *other = sub_chain_first(next);
    sub_node_set_tag(hole, SEGMENT_HOLE, newer(sub_node_generation(hole), sub_node_generation(other)));
    PUBLISH(hole->last, next->range.last);
    sub_chain_drop(nodes, other);
    absorb(chain, nodes, main, next);
}

/* In one pass; returns how many. */
static size_t unmap_each(struct main_chain *chain) {
    size_t count = 0;
    for (struct list *link = chain->list.next; link != &chain->list;) {
        struct main_node *main = main_node_of(link);
        link = link->next;
        if (!main_node_has_memory(main) ||
            main_chain_unmap(chain, main, main->range.start, main->range.last + 1) == 0) {
            list_remove(&main->link);
            count++;
        }
    }
    return count;
}

/* At its limit of mappings a process cannot unmap the middle of one, but can once that is an end. */
size_t main_chain_finish(struct main_chain *chain) {
    while (!list_empty(&chain->list) && unmap_each(chain) > 0) {
    }
    size_t refused = chain->mapped_bytes;
    count_pieces(chain, -chain->pieces);
    main_chain_init(chain, chain->limit, chain->generation);
    return refused;
}
