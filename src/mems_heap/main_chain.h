/* main_chain.h - the main nodes of a space: memory from the system, in order of virtual addresses. The chain covers all
 * virtual addresses that the space has ever used, without gaps, from MAIN_CHAIN_START on. */
#pragma once

#include "leaf.h"
#include "sub_chain.h"

/* The most pieces into which all spaces together cut their memory by unmapping parts. The kernel limits a process's
 * mappings (vm.max_map_count, 65,530 by default). */
#define MAIN_CHAIN_PIECES_MAX 16384u

struct main_chain {
    struct list list;
    struct range_tree dict;   /* by virtual address; its count is the chain's length */
    struct range_tree memory; /* those with memory, by its address */
    size_t pieces;            /* separate pieces of memory, each a mapping of the kernel */
    size_t mapped_bytes;      /* of the main nodes that have memory */
    uintptr_t next;           /* the first virtual address behind the chain */
    uintptr_t limit;          /* the last possible virtual address */
    uint32_t generation;      /* of addresses that have never been used */
    uint64_t maps;            /* number of mappings made */
    uint64_t unmaps;          /* mappings, or parts of them, given back */
};

void main_chain_init(struct main_chain *chain, uintptr_t limit, uint32_t generation);

/* The main node of v_address, or NULL. */
struct main_node *main_chain_find(const struct main_chain *chain, uintptr_t v_address);

/* NULL at the ends. */
struct main_node *main_chain_before(const struct main_chain *chain, const struct main_node *main);
struct main_node *main_chain_after(const struct main_chain *chain, const struct main_node *main);

/* Appends a main node with a new mapping of whole pages: a single HOLE, not in the free list, that reads as zero. Takes
 * a cell of each kind. 0, the mapping's error, or ENOMEM if virtual addresses are used up. */
int main_chain_extend(struct main_chain *chain, struct nodes *nodes, size_t size, struct sub_node **hole);

/* Appends virtual addresses without memory to the only main node of a movable space, which is made if necessary.
 * Returns them as a HOLE that is not in the free list; enough must be left. Takes a cell of each kind. */
struct sub_node *main_chain_stretch(struct main_chain *chain, struct nodes *nodes, size_t size);

/* Maps memory, if possible next to a neighbour's, for the first `size` bytes of a main node without memory, whose HOLE
 * is not in the free list; nor is *rest, the HOLE of the main node that the remainder becomes (NULL: no remainder).
 * Takes a cell of each kind. 0, or the mapping's error with nothing changed. */
int main_chain_back(struct main_chain *chain, struct nodes *nodes, struct main_node *main, size_t size,
                    struct sub_node **rest);

/* Splits a main node at v_address, the start of a page. `segment` starts there, or is a HOLE that is cut there; neither
 * part is in the free list. Takes a cell of each kind. Returns the new main node. */
struct main_node *main_chain_split(struct main_chain *chain, struct nodes *nodes, struct main_node *main,
                                   struct sub_node *segment, uintptr_t v_address);

/* Whether the next main node's memory continues this one's; false without one. */
bool main_chain_continues(const struct main_chain *chain, const struct main_node *main);

/* Joins a main node with the next, whose memory continues its own. */
void main_chain_weld(struct main_chain *chain, struct nodes *nodes, struct main_node *main);

/* Joins two adjacent main nodes without memory: single HOLEs, not in the free list. */
void main_chain_join(struct main_chain *chain, struct nodes *nodes, struct main_node *main);

/* Whether unmapping start..end - 1 of a main node would not cut memory into too many pieces. */
bool main_chain_may_cut(const struct main_chain *chain, const struct main_node *main, uintptr_t start, uintptr_t end);

/* Unmaps whole pages of a main node. 0, or the error with nothing changed. The caller makes them a separate main node,
 * and calls main_chain_forget. */
int main_chain_unmap(struct main_chain *chain, const struct main_node *main, uintptr_t start, uintptr_t end);

/* Records that a main node has lost its memory. */
void main_chain_forget(struct main_chain *chain, struct main_node *main);

/* Unmaps everything and empties the chain. Returns how many bytes the system refused to take back; these stay mapped
 * for good. The nodes' cells are not given back: the caller finishes the pools. */
size_t main_chain_finish(struct main_chain *chain);
