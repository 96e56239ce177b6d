/*
 * valid.c - what must hold of a space at any time outside its lock.
 */
#include "space.h"

/* What has been seen so far. */
struct audit {
    const struct mems_space *space;
    uintptr_t next; /* the virtual address that comes next */
    size_t main_nodes;
    size_t processes;
    size_t holes;    /* with memory */
    size_t reserved; /* HOLEs without memory */
    size_t process_bytes;
    size_t mapped_bytes;
};

static const char *sub_node_flaw(struct audit *audit, const struct main_node *main, const struct sub_node *node) {
    if (node->range.start != audit->next || node->range.last < node->range.start ||
        node->range.last > main->range.last) {
        return "space: the segments do not tile their main node";
    }
    if (sub_node_size(node) % audit->space->alignment != 0) {
        return "space: a segment's size is no multiple of the alignment";
    }
    audit->next = node->range.last + 1;
    if (sub_node_kind(node) == SEGMENT_PROCESS) {
        if (main->memory == NULL || dict_search(main, node->range.start) != node) {
            return "space: a PROCESS has no memory or is not in the dictionary";
        }
        audit->processes++;
        audit->process_bytes += sub_node_size(node);
        return NULL;
    }
    const struct sub_node *after = sub_chain_after(main, node);
    if (after != NULL && sub_node_kind(after) == SEGMENT_HOLE) {
        return "space: two HOLEs touch";
    }
    *(main->memory != NULL ? &audit->holes : &audit->reserved) += 1;
    return NULL;
}

static size_t processes_in(const struct main_node *main) {
    size_t count = 0;
    for (const struct list *link = main->sub_chain.next; link != &main->sub_chain; link = link->next) {
        count += sub_node_kind(CONTAINER_OF(link, struct sub_node, link)) == SEGMENT_PROCESS;
    }
    return count;
}

static const char *main_node_flaw(struct audit *audit, const struct main_node *main) {
    const char *flaw = NULL;
    size_t size = main_node_size(main);
    if (main->range.start != audit->next || main->range.last < main->range.start ||
        size % audit->space->page_size != 0) {
        return "space: the main nodes do not follow each other in whole pages";
    }
    if (!list_valid(&main->sub_chain, main->length) || list_length(&main->sub_chain) != main->length) {
        return "space: a sub-chain's links or its length are wrong";
    }
    for (struct list *link = main->sub_chain.next; link != &main->sub_chain; link = link->next) {
        flaw = sub_node_flaw(audit, main, sub_node_of(link));
        if (flaw != NULL) {
            return flaw;
        }
    }
    if (audit->next != main->range.last + 1) {
        return "space: the segments do not reach the end of their main node";
    }
    if (dict_search_main(&audit->space->chain.dict, main->range.start) != main ||
        !range_tree_valid(&main->processes, &flaw) || main->processes.count != processes_in(main)) {
        return "space: the dictionary does not agree with the chains";
    }
    const struct main_node *after = main_chain_after(&audit->space->chain, main);
    if (main->memory == NULL && (main->length != 1 || (after != NULL && after->memory == NULL))) {
        return "space: a main node without memory is divided, or touches another one";
    }
    audit->main_nodes++;
    audit->mapped_bytes += main->memory != NULL ? size : 0;
    return NULL;
}

static const char *sums_flaw(const struct audit *audit) {
    const struct mems_space *space = audit->space;
    struct mems_stats stats;
    space_collect(space, &stats);
    if (audit->next != space->chain.next || audit->main_nodes != stats.main_nodes ||
        audit->mapped_bytes != stats.pages * stats.page_size) {
        return "space: the main chain is not what is counted";
    }
    if (audit->processes != stats.processes || audit->process_bytes != stats.process_bytes ||
        audit->holes + audit->reserved != stats.holes ||
        stats.process_bytes + stats.hole_bytes != stats.pages * stats.page_size + stats.reserved_bytes) {
        return "space: the segments are not what is counted";
    }
    return NULL;
}

static const char *space_flaw(struct mems_space *space) {
    if (space->state != SPACE_READY) {
        return NULL;
    }
    struct audit audit = {.space = space, .next = MAIN_CHAIN_START};
    const struct list *nodes = &space->chain.list;
    if (!list_valid(nodes, space->chain.dict.count)) {
        return "space: the main chain's links are wrong";
    }
    for (struct list *link = nodes->next; link != nodes; link = link->next) {
        const char *flaw = main_node_flaw(&audit, main_node_of(link));
        if (flaw != NULL) {
            return flaw;
        }
    }
    const char *flaw = sums_flaw(&audit);
    size_t holes, reserved;
    if (flaw == NULL && range_tree_valid(&space->chain.dict, &flaw) && free_list_valid(&space->holes, &holes, &flaw) &&
        free_list_valid(&space->reserved, &reserved, &flaw) && (holes != audit.holes || reserved != audit.reserved)) {
        flaw = "space: the free list does not have all HOLEs";
    }
    return flaw;
}

bool space_valid(struct mems_space *space, const char **why) {
    lock_take(&space->lock);
    const char *flaw = space_flaw(space);
    lock_give(&space->lock);
    if (flaw != NULL) {
        *why = flaw;
    }
    return flaw == NULL;
}
