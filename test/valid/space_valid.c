/* space_valid.c - the invariants of a space, which hold whenever its lock is free. */
#include "space_valid.h"

#include "base/broken.h"
#include "dict_valid.h"

/* The audit's progress. */
struct audit {
    const struct mems_space *space;
    uintptr_t next; /* the virtual address to come next */
    size_t main_nodes;
    size_t processes;
    size_t holes;    /* with memory */
    size_t reserved; /* HOLEs without memory */
    size_t process_bytes;
    size_t mapped_bytes;
    size_t pinned;
    size_t copying;
};

/* A PROCESS or a doomed block. */
static const char *process_flaw(struct audit *audit, const struct main_node *main, const struct sub_node *node) {
    const struct mems_space *space = audit->space;
    if (dict_search(&space->dict, node->start) != node || dict_search(&space->dict, node->last) != node) {
        return "space: a PROCESS is not in the dictionary";
    }
    if (space->movable ? node->region == NULL
                       : !main_node_has_memory(main) || node->physical != main_node_physical(main, node->start)) {
        return "space: a PROCESS's bytes are in the wrong place";
    }
    if (sub_node_kind(node) == SEGMENT_DOOMED && (node->copies == 0 || node->pins > 0)) {
        return "space: a doomed block is not being copied";
    }
    if (newer(space->newest, sub_node_generation(node)) != space->newest) {
        return "space: a PROCESS has a generation above the newest";
    }
    audit->processes++;
    audit->pinned += node->pins > 0;
    audit->copying += node->copies;
    audit->process_bytes += sub_node_size(node);
    return NULL;
}

static const char *sub_node_flaw(struct audit *audit, const struct main_node *main, const struct sub_node *node) {
    if (node->start != audit->next || node->last < node->start || node->last > main->range.last) {
        return "space: the segments do not cover their main node";
    }
    if (sub_node_size(node) % audit->space->alignment != 0) {
        return "space: a segment's size is not a multiple of the alignment";
    }
    audit->next = node->last + 1;
    if (sub_node_kind(node) != SEGMENT_HOLE) {
        return process_flaw(audit, main, node);
    }
    const struct sub_node *after = sub_chain_after(node);
    if (after != NULL && sub_node_kind(after) == SEGMENT_HOLE) {
        return "space: two HOLEs are adjacent";
    }
    if (dict_search(&audit->space->dict, node->start) != NULL) {
        return "space: a HOLE is in the dictionary";
    }
    *(main_node_has_memory(main) || audit->space->movable ? &audit->holes : &audit->reserved) += 1;
    return NULL;
}

static const char *main_node_flaw(struct audit *audit, const struct main_node *main) {
    const char *flaw = NULL;
    size_t size = main_node_size(main);
    if (main->range.start != audit->next || main->range.last < main->range.start ||
        size % audit->space->page_size != 0) {
        return "space: the main nodes do not follow each other in whole pages";
    }
    if (list_empty(&main->sub_chain) || !list_valid(&main->sub_chain, audit->space->nodes.sub.used)) {
        return "space: a sub-chain's links are wrong";
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
    bool memory = main_node_has_memory(main);
    if (main_chain_find(&audit->space->chain, main->range.start) != main ||
        (memory && main->memory.last - main->memory.start != size - 1)) {
        return "space: a main node is not in the chain's trees";
    }
    const struct main_node *after = main_chain_after(&audit->space->chain, main);
    bool divided = sub_chain_after(sub_chain_first(main)) != NULL;
    if (audit->space->movable ? memory || after != NULL
                              : !memory && (divided || (after != NULL && !main_node_has_memory(after)))) {
        return "space: a main node without memory is divided, or adjacent to another";
    }
    audit->main_nodes++;
    audit->mapped_bytes += memory ? size : 0;
    return NULL;
}

static const char *sums_flaw(const struct audit *audit) {
    const struct mems_space *space = audit->space;
    struct mems_stats stats;
    space_collect(space, &stats);
    if (audit->next != space->chain.next || audit->main_nodes != stats.main_nodes ||
        audit->mapped_bytes != space->chain.mapped_bytes) {
        return "space: the length of the main chain is wrong";
    }
    if (audit->processes != stats.processes || audit->processes != space->dict.count ||
        audit->process_bytes != stats.process_bytes || audit->holes + audit->reserved != stats.holes ||
        audit->pinned != stats.pinned || audit->copying != space->copying) {
        return "space: the number of segments is wrong";
    }
    if (stats.process_bytes + stats.hole_bytes + stats.gap_bytes !=
            stats.pages * stats.page_size + stats.reserved_bytes ||
        (space->movable && space->store.live_bytes != stats.process_bytes)) {
        return "space: the amount of memory is wrong";
    }
    return NULL;
}

/* Adjacent parts of the memory are one piece. */
static const char *pieces_flaw(const struct main_chain *chain) {
    size_t pieces = 0;
    uintptr_t end = 0;
    for (const struct range_node *range = range_tree_first(&chain->memory); range != NULL;
         range = range_tree_next(range)) {
        pieces += range->start != end;
        end = range->last + 1;
    }
    return pieces == chain->pieces ? NULL : "space: the number of pieces of memory is wrong";
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
    if (flaw == NULL) {
        flaw = pieces_flaw(&space->chain);
    }
    if (flaw == NULL && range_tree_valid(&space->chain.dict, &flaw) && range_tree_valid(&space->chain.memory, &flaw) &&
        dict_valid(&space->dict, &flaw) && store_valid(&space->store, &flaw) && pool_valid(&space->nodes.main, &flaw) &&
        pool_valid(&space->nodes.sub, &flaw) && hole_list_valid(&space->holes, &holes, &flaw) &&
        hole_list_valid(&space->reserved, &reserved, &flaw) && (holes != audit.holes || reserved != audit.reserved)) {
        flaw = "space: a HOLE is missing in the free list";
    }
    return flaw;
}

bool space_valid(struct mems_space *space, const char **why) {
    lock_take(&space->lock);
    const char *flaw = space_flaw(space);
    lock_give(&space->lock);
    return flaw == NULL || broken(why, flaw);
}
