#include "main_chain.h"

#include <errno.h>

#include "base/fault.h"
#include "os/os.h"

void main_chain_init(struct main_chain *chain) {
    *chain = (struct main_chain){.next = MAIN_CHAIN_START};
    list_init(&chain->list);
}

struct main_node *main_chain_before(const struct main_chain *chain, const struct main_node *main) {
    return main->link.prev != &chain->list ? main_node_of(main->link.prev) : NULL;
}

struct main_node *main_chain_after(const struct main_chain *chain, const struct main_node *main) {
    return main->link.next != &chain->list ? main_node_of(main->link.next) : NULL;
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
static struct main_node *insert(struct main_chain *chain, struct nodes *nodes, struct list *at, char *memory,
                                uintptr_t start, uintptr_t last) {
    struct main_node *main = node_take(&nodes->main);
    list_init(&main->sub_chain);
    main->memory = memory;
    main->range.start = start;
    main->range.last = last;
    list_insert_after(at, &main->link);
    dict_insert_main(&chain->dict, main);
    return main;
}

int main_chain_extend(struct main_chain *chain, struct nodes *nodes, size_t size, struct place *hole) {
    if (size > UINTPTR_MAX - chain->next) {
        return ENOMEM;
    }
    char *memory;
    int error = map(chain, size, &memory);
    if (error == 0) {
        uintptr_t start = chain->next;
        chain->next += size;
        hole->main = insert(chain, nodes, chain->list.prev, memory, start, chain->next - 1);
        hole->node = sub_chain_begin(nodes, hole->main);
    }
    return error;
}

struct main_node *main_chain_split(struct main_chain *chain, struct nodes *nodes, struct main_node *main,
                                   struct sub_node *segment, uintptr_t v_address) {
    if (segment->range.start < v_address) {
        segment = sub_chain_cut(nodes, main, segment, v_address);
    }
    char *memory = main->memory != NULL ? main_node_physical(main, v_address) : NULL;
    uintptr_t last = main->range.last;
    dict_resize_main(&chain->dict, main, v_address - 1);
    struct main_node *rest = insert(chain, nodes, &main->link, memory, v_address, last);
    sub_chain_move(main, segment, rest);
    return rest;
}

int main_chain_back(struct main_chain *chain, struct nodes *nodes, struct main_node *main, size_t size,
                    struct sub_node **rest) {
    ASSERT(main->memory == NULL && size <= main_node_size(main));
    char *memory;
    int error = map(chain, size, &memory);
    if (error != 0) {
        return error;
    }
    *rest = NULL;
    if (size < main_node_size(main)) {
        uintptr_t end = main->range.start + size;
        *rest = sub_chain_first(main_chain_split(chain, nodes, main, sub_chain_first(main), end));
    }
    main->memory = memory;
    return 0;
}

void main_chain_join(struct main_chain *chain, struct nodes *nodes, struct main_node *main) {
    struct main_node *next = main_chain_after(chain, main);
    uintptr_t last = next->range.last;
    sub_chain_drop(nodes, next, sub_chain_first(next));
    list_remove(&next->link);
    dict_remove_main(&chain->dict, next);
    node_give(&nodes->main, next);
    sub_chain_first(main)->range.last = last;
    dict_resize_main(&chain->dict, main, last);
}

int main_chain_unmap(struct main_chain *chain, struct main_node *main, uintptr_t start, uintptr_t end) {
    int error = os_unmap(main_node_physical(main, start), end - start);
    if (error == 0) {
        chain->mapped_bytes -= end - start;
        chain->unmaps++;
    }
    return error;
}

/* Goes through the chain once; what is unmapped leaves it. Returns how many main nodes that were. */
static size_t unmap_each(struct main_chain *chain) {
    size_t count = 0;
    for (struct list *link = chain->list.next; link != &chain->list;) {
        struct main_node *main = main_node_of(link);
        link = link->next;
        if (main->memory == NULL || main_chain_unmap(chain, main, main->range.start, main->range.last + 1) == 0) {
            list_remove(&main->link);
            count++;
        }
    }
    return count;
}

/* A process at its limit of mappings may not unmap the middle of one; but it may when that has become an end. */
size_t main_chain_finish(struct main_chain *chain) {
    while (!list_empty(&chain->list) && unmap_each(chain) > 0) {
    }
    size_t refused = chain->mapped_bytes;
    main_chain_init(chain);
    return refused;
}
