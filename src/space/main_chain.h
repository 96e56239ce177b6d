/*
 * main_chain.h - the main nodes of a space: memory from the system, in the order of its virtual addresses.
 *
 * The chain covers all virtual addresses that the space has ever used, without gaps: from MAIN_CHAIN_START on, each
 * main node begins where the one before it ends.
 */
#ifndef MEMS_SPACE_MAIN_CHAIN_H
#define MEMS_SPACE_MAIN_CHAIN_H

#include "leaf.h"
#include "sub_chain.h"

/*
 * The kernel limits the mappings of a process (vm.max_map_count, 65,530 by default). Memory is not cut into more pieces
 * than this, over all spaces, by giving back what lies between others.
 */
#define MAIN_CHAIN_PIECES_MAX 16384u

struct main_chain {
    struct list list;
    struct range_tree dict;   /* the main nodes by virtual address; its count is the chain's length */
    struct range_tree memory; /* those that have memory, by its address */
    size_t pieces;            /* number: parts of the memory that no other touches, which are mappings of the kernel */
    size_t mapped_bytes;      /* of the main nodes that have memory */
    uintptr_t next;           /* the first virtual address behind the chain */
    uintptr_t limit;          /* the last one there can be */
    uint32_t generation;      /* of addresses that have never been used */
    uint64_t maps;            /* number of mappings made */
    uint64_t unmaps;          /* number of mappings, or parts of them, given back */
};

void main_chain_init(struct main_chain *chain, uintptr_t limit, uint32_t generation);

/* The main node that holds v_address; NULL when none does. */
struct main_node *main_chain_find(const struct main_chain *chain, uintptr_t v_address);

/* The main nodes before and after `main`; NULL at the ends. */
struct main_node *main_chain_before(const struct main_chain *chain, const struct main_node *main);
struct main_node *main_chain_after(const struct main_chain *chain, const struct main_node *main);

/*
 * A new mapping of `size` bytes, whole pages, as the chain's last main node: a single HOLE, not in the free list, that
 * reads as zero. Takes a cell of each kind. Returns 0 or the mapping's error; ENOMEM when the virtual addresses are
 * used up.
 */
int main_chain_extend(struct main_chain *chain, struct nodes *nodes, size_t size, struct sub_node **hole);

/* `size` further virtual addresses without memory, of which there are as many, at the end of the one main node, made if
 * need be, of a space that has no others: a HOLE that is not in the free list. Takes a cell of each kind. */
struct sub_node *main_chain_stretch(struct main_chain *chain, struct nodes *nodes, size_t size);

/* A new mapping, if possible beside that of a neighbour, for the first `size` bytes of a main node without memory,
 * whose HOLE is not in the free list; what is left of it becomes a main node of its own, its HOLE not in the free list:
 * *rest (NULL: nothing is left). Takes a cell of each kind. Returns 0 or the mapping's error; nothing has changed then.
 */
int main_chain_back(struct main_chain *chain, struct nodes *nodes, struct main_node *main, size_t size,
                    struct sub_node **rest);

/* Divides a main node: from v_address on, the first address of a page, it is a main node of its own. `segment` is the
 * one that starts there, or a HOLE that is not in the free list and is cut there; the rest of it is not in the free
 * list either. Takes a cell of each kind. Returns the new main node. */
struct main_node *main_chain_split(struct main_chain *chain, struct nodes *nodes, struct main_node *main,
                                   struct sub_node *segment, uintptr_t v_address);

/* Whether the memory of a main node goes on in that of the one after it; false when there is none. */
bool main_chain_continues(const struct main_chain *chain, const struct main_node *main);

/* Joins a main node with the one after it, whose memory continues its own. */
void main_chain_weld(struct main_chain *chain, struct nodes *nodes, struct main_node *main);

/* Joins a main node without memory with the one after it, which has none either: both are single HOLEs that are not in
 * the free list. */
void main_chain_join(struct main_chain *chain, struct nodes *nodes, struct main_node *main);

/* Whether start..end - 1, of a main node, may be unmapped: not where that would cut memory into too many pieces. */
bool main_chain_may_cut(const struct main_chain *chain, const struct main_node *main, uintptr_t start, uintptr_t end);

/* Unmaps the memory of start..end - 1, whole pages of a main node. Returns 0 or the error; nothing has changed then.
 * The caller sees to it that they become a main node of their own, and tells main_chain_forget. */
int main_chain_unmap(struct main_chain *chain, const struct main_node *main, uintptr_t start, uintptr_t end);

/* A main node has no memory any more. */
void main_chain_forget(struct main_chain *chain, struct main_node *main);

/* Unmaps everything; the chain is empty then. Returns how many bytes the system has refused to take back: they stay
 * mapped, unknown to anybody. The cells of the nodes are not given back: the pools are to be finished as a whole. */
size_t main_chain_finish(struct main_chain *chain);

#endif
