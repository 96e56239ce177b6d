/* node.h - main nodes and sub nodes. The main chain links main nodes; each has a sub-chain of sub nodes, its segments;
 * both come from pools. The space's lock guards everything, but the dictionary (dict.h) and a segment's start, end, tag
 * and place are read without it, so they are written with PUBLISH. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/list.h"
#include "base/range_tree.h"
#include "pool.h"

/* Writes a word that is read without the lock: release, paired with acquire. */
#define PUBLISH(word, value) __atomic_store_n(&(word), (value), __ATOMIC_RELEASE)
#define OBSERVE(word) __atomic_load_n(&(word), __ATOMIC_ACQUIRE)

/* Whole pages of virtual addresses, and the mapping behind them. Invariants: the segments cover the range without gaps;
 * no two HOLEs are adjacent; a main node without memory is a single HOLE, and no two such nodes are adjacent; a movable
 * space has at most one main node, without memory. */
struct main_node {
    struct list link;         /* in the main chain, by virtual address */
    struct list sub_chain;    /* by virtual address; see is_sub_chain */
    struct range_node range;  /* in the chain's tree of virtual addresses */
    struct range_node memory; /* in the chain's tree of memory; start is 0 if there is none */
};

enum segment { SEGMENT_HOLE, SEGMENT_PROCESS, SEGMENT_DOOMED };

#define SEGMENT_BITS 2u
#define SEGMENT_MASK ((1u << SEGMENT_BITS) - 1)

struct region;

/*
 * A segment: a HOLE, in a free list; a PROCESS, in the dictionary; or a doomed block, freed while its bytes are being
 * copied, which then becomes a HOLE. It fits a cache line, because a million may be looked up in random order, and does
 * not point to its main node: a neighbour or the address leads there.
 *
 * tag: the kind in the lowest bits; above it the *generation*, how often the place has been used, modulo 2^30. A HOLE
 * has the newest generation of all blocks that were ever in it, and a new block the one after its HOLE's.
 */
struct sub_node {
    struct list link; /* in its main node's sub-chain */
    uintptr_t start;
    uintptr_t last;
    union {
        struct tree_node tree; /* a HOLE's */
        struct {               /* of a PROCESS or a doomed block */
            char *physical;
            struct region *region; /* with the bytes, in a movable space; else NULL */
            uint32_t slot;         /* in the region's table */
            uint32_t pins;         /* by the user */
            uint32_t copies;       /* by our functions, without the lock */
            uint32_t tag;          /* the tree node's tag */
        };
    };
};

_Static_assert(sizeof(struct sub_node) == POOL_GRAIN, "a segment fills a cache line");
_Static_assert(offsetof(struct sub_node, tag) == offsetof(struct sub_node, tree.tag), "each segment has a tag");

/* Whether a link is the head of a sub-chain, in a main node: cells, and so the links of sub nodes, begin at cache
 * lines; heads do not. This finds the end of a sub-chain without knowing the main node. */
static inline bool is_sub_chain(const struct list *link) {
    return (uintptr_t)link % POOL_GRAIN != 0;
}

_Static_assert(offsetof(struct sub_node, link) == 0 && offsetof(struct main_node, sub_chain) % POOL_GRAIN != 0,
               "a head can be told from a link");

static inline struct main_node *main_node_of(struct list *link) {
    return CONTAINER_OF(link, struct main_node, link);
}

static inline struct sub_node *sub_node_of(struct list *link) {
    return CONTAINER_OF(link, struct sub_node, link);
}

static inline enum segment sub_node_kind(const struct sub_node *node) {
    return (enum segment)(node->tag & SEGMENT_MASK);
}

static inline uint32_t sub_node_generation(const struct sub_node *node) {
    return node->tag >> SEGMENT_BITS;
}

static inline uint32_t sub_node_tag(enum segment kind, uint32_t generation) {
    return generation << SEGMENT_BITS | kind;
}

/* Outside the dictionary; otherwise dict_set_tag. */
static inline void sub_node_set_tag(struct sub_node *node, enum segment kind, uint32_t generation) {
    PUBLISH(node->tag, sub_node_tag(kind, generation));
}

/* Generations count modulo 2^30. */
static inline uint32_t newer(uint32_t a, uint32_t b) {
    return (int32_t)((a - b) << SEGMENT_BITS) > 0 ? a : b;
}

static inline size_t sub_node_size(const struct sub_node *node) {
    return node->last - node->start + 1;
}

static inline size_t main_node_size(const struct main_node *node) {
    return node->range.last - node->range.start + 1;
}

static inline bool main_node_has_memory(const struct main_node *node) {
    return node->memory.start != 0;
}

/* For a main node that has memory. */
static inline char *main_node_physical(const struct main_node *node, uintptr_t v_address) {
    return (char *)node->memory.start + (v_address - node->range.start);
}

struct nodes {
    struct pool main;
    struct pool sub;
};

static inline void nodes_init(struct nodes *nodes) {
    pool_init(&nodes->main, sizeof(struct main_node));
    pool_init(&nodes->sub, sizeof(struct sub_node));
}

/* Ensures that this many nodes of each kind can be taken. 0, or the failed mapping's error. */
static inline int nodes_reserve(struct nodes *nodes, size_t main_nodes, size_t sub_nodes) {
    int error = pool_reserve(&nodes->main, main_nodes);
    return error != 0 ? error : pool_reserve(&nodes->sub, sub_nodes);
}
