/*
 * node.h - what a space's lists are made of, and the memory for it.
 *
 * The main chain links main nodes, one for each mapping; each main node has a sub-chain of sub nodes, its segments.
 * Both kinds come from pools of cells, in chunks of their own from the system. No locking: the space's
 * lock guards all of it.
 */
#ifndef MEMS_SPACE_NODE_H
#define MEMS_SPACE_NODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "base/range_tree.h"

/*
 * One mapping of whole pages, or, where memory is NULL, a range of virtual addresses without memory.
 *
 * Invariants: the segments tile the range; no two HOLEs touch; a node without memory is a single HOLE, and no two such
 * nodes touch; the tree holds the PROCESSes, and them only.
 */
struct main_node {
    struct list link;            /* in the main chain, in order of virtual addresses */
    struct range_node range;     /* the virtual addresses; in the dictionary */
    struct list sub_chain;       /* of sub nodes, in order of virtual addresses */
    struct range_tree processes; /* the dictionary's part that lies in this node */
    char *memory;                /* the physical address of the first virtual one */
    size_t length;               /* number of segments */
};

enum segment { SEGMENT_PROCESS, SEGMENT_HOLE };

/*
 * One segment. A PROCESS is in the dictionary by its range; a HOLE is in the free list by the tree node of its range. A
 * million of them are searched in random order, so each fills a cache line and no more: it does not name its main node,
 * which the dictionary finds by the address.
 */
struct sub_node {
    struct list link;        /* in its main node's sub-chain */
    struct range_node range; /* the virtual addresses; the tag of its tree node is the segment's kind */
};

static inline struct main_node *main_node_of(struct list *link) {
    return CONTAINER_OF(link, struct main_node, link);
}

static inline struct sub_node *sub_node_of(struct list *link) {
    return CONTAINER_OF(link, struct sub_node, link);
}

static inline enum segment sub_node_kind(const struct sub_node *node) {
    return (enum segment)node->range.node.tag;
}

static inline void sub_node_set_kind(struct sub_node *node, enum segment kind) {
    node->range.node.tag = kind;
}

static inline size_t sub_node_size(const struct sub_node *node) {
    return node->range.last - node->range.start + 1;
}

static inline size_t main_node_size(const struct main_node *node) {
    return node->range.last - node->range.start + 1;
}

/* The physical address of a virtual one in a main node that has memory. */
static inline char *main_node_physical(const struct main_node *node, uintptr_t v_address) {
    return node->memory + (v_address - node->range.start);
}

/* Cells of one size, in chunks of chunk_size bytes. */
struct node_pool {
    struct list roomy; /* chunks with free cells */
    struct list full;
    size_t chunk_size; /* a power of two; each chunk is aligned to it */
    size_t cell_size;
    size_t cells;  /* number of cells in a chunk */
    size_t chunks; /* number */
    size_t spare;  /* number of free cells in all chunks */
};

/* A cell, all zero; it has been reserved. */
void *node_take(struct node_pool *pool);

/* Gives a cell back. The memory of a chunk that is all free goes back to the system when there is another one to spare.
 */
void node_give(struct node_pool *pool, void *node);

/* Number of cells that are taken. */
size_t node_pool_used(const struct node_pool *pool);

/* The nodes of one space. */
struct nodes {
    struct node_pool main;
    struct node_pool sub;
};

void nodes_init(struct nodes *nodes);

/* Sees to it that so many cells of each kind can be taken next. 0, or the error of the mapping that failed. */
int nodes_reserve(struct nodes *nodes, size_t main_nodes, size_t sub_nodes);

/* Bytes that are mapped for them. */
size_t nodes_bytes(const struct nodes *nodes);

/* Unmaps everything; both pools are empty then. */
void nodes_finish(struct nodes *nodes);

#endif
