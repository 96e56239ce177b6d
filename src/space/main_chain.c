#include "main_chain.h"

#include <errno.h>

#include "base/fault.h"
#include "os/os.h"

void main_chain_init(struct main_chain *chain) {
    *chain = (struct main_chain){.next = MAIN_CHAIN_START};
    list_init(&chain->nodes);
}

struct main_node *main_chain_before(const struct main_chain *chain, const struct main_node *node) {
    return node->link.prev != &chain->nodes ? main_node_of(node->link.prev) : NULL;
}

struct main_node *main_chain_after(const struct main_chain *chain, const struct main_node *node) {
    return node->link.next != &chain->nodes ? main_node_of(node->link.next) : NULL;
}

static int map(struct main_chain *chain, size_t size, char **memory) {
    void *mapped;
    int error = os_map(size, OS_PAGE, &mapped);
    if (error == 0) {
        *memory = mapped;
        chain->mapped_bytes += size;
        chain->maps++;
    }
    return error;
}

/* A main node after the link `at`, without segments. */
static struct main_node *insert(struct main_chain *chain, struct node_pool *pool, struct list *at, char *memory,
                                uintptr_t start, uintptr_t last) {
    struct main_node *node = main_node_take(pool);
    node->memory = memory;
    node->start = start;
    node->last = last;
    list_insert_after(at, &node->link);
    chain->length++;
    return node;
}

int main_chain_extend(struct main_chain *chain, struct node_pool *pool, size_t size, struct sub_node **hole) {
    if (size > UINTPTR_MAX - chain->next) {
        return ENOMEM;
    }
    char *memory;
    int error = map(chain, size, &memory);
    if (error == 0) {
        uintptr_t start = chain->next;
        chain->next += size;
        struct main_node *node = insert(chain, pool, chain->nodes.prev, memory, start, chain->next - 1);
        *hole = sub_chain_begin(pool, node);
    }
    return error;
}

struct main_node *main_chain_split(struct main_chain *chain, struct node_pool *pool, struct sub_node *segment,
                                   uintptr_t v_address) {
    struct main_node *node = segment->main;
    if (segment->range.start < v_address) {
        segment = sub_chain_cut(pool, segment, v_address);
    }
    char *memory = node->memory != NULL ? main_node_physical(node, v_address) : NULL;
    struct main_node *rest = insert(chain, pool, &node->link, memory, v_address, node->last);
    node->last = v_address - 1;
    sub_chain_move(segment, rest);
    return rest;
}

int main_chain_back(struct main_chain *chain, struct node_pool *pool, struct sub_node *hole, size_t size,
                    struct sub_node **rest) {
    struct main_node *node = hole->main;
    ASSERT(node->memory == NULL && size <= main_node_size(node));
    char *memory;
    int error = map(chain, size, &memory);
    if (error != 0) {
        return error;
    }
    *rest = NULL;
    if (size < main_node_size(node)) {
        *rest = sub_node_of(main_chain_split(chain, pool, hole, node->start + size)->sub_chain.next);
    }
    node->memory = memory;
    return 0;
}

void main_chain_join(struct main_chain *chain, struct node_pool *pool, struct main_node *node) {
    struct main_node *next = main_chain_after(chain, node);
    node->last = next->last;
    sub_node_of(node->sub_chain.next)->range.last = next->last;
    sub_chain_drop(pool, sub_node_of(next->sub_chain.next));
    list_remove(&next->link);
    chain->length--;
    node_give(pool, next);
}

int main_chain_unmap(struct main_chain *chain, struct main_node *node, uintptr_t start, uintptr_t end) {
    int error = os_unmap(main_node_physical(node, start), end - start);
    if (error == 0) {
        chain->mapped_bytes -= end - start;
        chain->unmaps++;
    }
    return error;
}

/* Goes through the chain once; what is unmapped leaves it. Returns how many main nodes that were. */
static size_t unmap_each(struct main_chain *chain) {
    size_t count = 0;
    for (struct list *link = chain->nodes.next; link != &chain->nodes;) {
        struct main_node *node = main_node_of(link);
        link = link->next;
        if (node->memory == NULL || main_chain_unmap(chain, node, node->start, node->last + 1) == 0) {
            list_remove(&node->link);
            count++;
        }
    }
    return count;
}

/* A process at its limit of mappings may not unmap the middle of one; but it may when that has become an end. */
size_t main_chain_finish(struct main_chain *chain) {
    while (!list_empty(&chain->nodes) && unmap_each(chain) > 0) {
    }
    size_t refused = chain->mapped_bytes;
    main_chain_init(chain);
    return refused;
}
