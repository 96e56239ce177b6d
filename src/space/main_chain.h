/*
 * main_chain.h - the main nodes of a space: memory from the system, in the order of its virtual addresses.
 *
 * The chain covers all virtual addresses that the space has ever used, without gaps: from MAIN_CHAIN_START on, each
 * main node begins where the one before it ends.
 */
#ifndef MEMS_SPACE_MAIN_CHAIN_H
#define MEMS_SPACE_MAIN_CHAIN_H

#include "dict.h"
#include "sub_chain.h"

/* The first virtual address. */
#define MAIN_CHAIN_START 1000u

struct main_chain {
    struct list list;
    struct range_tree dict; /* the same main nodes by address; its count is the chain's length */
    size_t mapped_bytes;    /* of the main nodes that have memory */
    uintptr_t next;         /* the first virtual address behind the chain */
    uint64_t maps;          /* number of mappings made */
    uint64_t unmaps;        /* number of mappings, or parts of them, given back */
};

void main_chain_init(struct main_chain *chain);

/* The main nodes before and after `main`; NULL at the ends. */
struct main_node *main_chain_before(const struct main_chain *chain, const struct main_node *main);
struct main_node *main_chain_after(const struct main_chain *chain, const struct main_node *main);

/*
 * A new mapping of `size` bytes, whole pages, as the chain's last main node: a single HOLE, not in the free list, that
 * reads as zero. Takes a cell of each kind. Returns 0 or the mapping's error; ENOMEM when the virtual addresses are
 * used up.
 */
int main_chain_extend(struct main_chain *chain, struct nodes *nodes, size_t size, struct place *hole);

/* A new mapping for the first `size` bytes of a main node without memory, whose HOLE is not in the free list; what is
 * left of it becomes a main node of its own, its HOLE not in the free list: *rest (NULL: nothing is left). Takes a cell
 * of each kind. Returns 0 or the mapping's error; nothing has changed then. */
int main_chain_back(struct main_chain *chain, struct nodes *nodes, struct main_node *main, size_t size,
                    struct sub_node **rest);

/* Divides a main node: from v_address on, the first address of a page, it is a main node of its own. `segment` is the
 * one that starts there, or a HOLE that is not in the free list and is cut there; the rest of it is not in the free
 * list either. Takes a cell of each kind. Returns the new main node. */
struct main_node *main_chain_split(struct main_chain *chain, struct nodes *nodes, struct main_node *main,
                                   struct sub_node *segment, uintptr_t v_address);

/* Joins a main node without memory with the one after it, which has none either: both are single HOLEs that are not in
 * the free list. */
void main_chain_join(struct main_chain *chain, struct nodes *nodes, struct main_node *main);

/* Unmaps the memory of start..end - 1, whole pages of a main node. Returns 0 or the error; nothing has changed then.
 * The caller sees to it that they become a main node of their own, and lose `memory`. */
int main_chain_unmap(struct main_chain *chain, struct main_node *main, uintptr_t start, uintptr_t end);

/* Unmaps everything; the chain is empty then. Returns how many bytes the system has refused to take back: they stay
 * mapped, unknown to anybody. The cells of the nodes are not given back: the pools are to be finished as a whole. */
size_t main_chain_finish(struct main_chain *chain);

#endif
