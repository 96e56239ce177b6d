/*
 * dict.h - the dictionary: from a virtual address to the PROCESS that holds it.
 *
 * A *frame* is 4 KiB of virtual addresses, from the first one on. Tables of 512 entries on up to four levels lead to
 * the entry of a frame, as a processor's page tables do. An entry is
 *
 *   0            no PROCESS has an address here;
 *   a sub node   the only one that has any, of a frame, or of all that a table would describe;
 *   a leaf       of a frame: those that have some, sorted, with all that a reader needs to know;
 *   a table      further down.
 *
 * So a search follows one pointer a level, of which there are as many as the addresses in use need, and looks through
 * the few keys of a leaf.
 *
 * Readers take no lock. Writers, who have the space's, make `sequence` odd while they change something; a reader looks
 * at it before and after, and what it has found counts if it was the same even number. Whatever it sees meanwhile may
 * be out of date or half done: pointers lead to cells that were once of the same kind (pool.h keeps them readable), and
 * a count is never more than its leaf has room for.
 */
#ifndef MEMS_SPACE_DICT_H
#define MEMS_SPACE_DICT_H

#include "leaf.h"
#include "node.h"

/* Virtual addresses and what stands above them in a handle (handle.h). */
#define DICT_ADDRESS_BITS 48u

#define DICT_NO_READERS UINT32_MAX

struct dict {
    uint64_t sequence;
    uint32_t height;  /* number of levels of tables */
    uint32_t readers; /* the number of the handles that may be read without the lock; DICT_NO_READERS: none */
    uintptr_t root;   /* the entry of all addresses */
    struct pool tables;
    struct pool leaves[LEAF_KINDS]; /* of ever larger sizes */
    size_t count;                   /* number of PROCESSes */
    bool generations;               /* handles have them */
};

/* number: of the handles; watched: nobody is to read without the lock. */
void dict_init(struct dict *dict, uint32_t number, bool watched);

/* Sees to it that a PROCESS start..last can be inserted, or one can be extended to that, or cut to end at last. Takes
 * no notice of PROCESSes that are there. 0, or the error of the mapping that failed. */
int dict_reserve(struct dict *dict, uintptr_t start, uintptr_t last);

/* Adds a PROCESS by the range that it has, and takes it out again. */
void dict_insert(struct dict *dict, struct sub_node *node);
void dict_remove(struct dict *dict, struct sub_node *node);

/* Moves the end of a PROCESS up, where it has another tag, or down. */
void dict_extend(struct dict *dict, struct sub_node *node, uintptr_t last, uint32_t tag);
void dict_cut(struct dict *dict, struct sub_node *node, uintptr_t last);

/* Gives a PROCESS another tag. */
void dict_set_tag(struct dict *dict, struct sub_node *node, uint32_t tag);

/* Moves the bytes of a PROCESS, which are at `physical` by now. */
void dict_move(struct dict *dict, struct sub_node *node, char *physical);

/* `to`, which is equal, takes the place of a PROCESS. */
void dict_replace(struct dict *dict, struct sub_node *from, struct sub_node *to);

/* Moves at most `limit` leaves of a kind together, as pool_gather; returns how many. */
size_t dict_gather(struct dict *dict, unsigned kind, size_t limit);

/* The PROCESS that holds v_address; NULL when none does. With the lock. */
struct sub_node *dict_search(const struct dict *dict, uintptr_t v_address);

/* The last PROCESS that starts at or before v_address; NULL when there is none. With the lock. */
struct sub_node *dict_search_before(const struct dict *dict, uintptr_t v_address);

/*
 * Without the lock: the physical address that a handle, or one with an offset, leads to. NULL when it leads nowhere,
 * and also when a writer comes between: then whoever takes the lock finds out.
 */
void *dict_translate(const struct dict *dict, uintptr_t handle);

/* Bytes of memory that have been used. */
size_t dict_bytes(const struct dict *dict);

void dict_finish(struct dict *dict);

/* True when all invariants hold, but for what only those who know the segments can tell (dict_search finds each). */
bool dict_valid(const struct dict *dict, const char **why);

#endif
