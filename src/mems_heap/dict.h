/*
 * dict.h - the dictionary: finds the PROCESS that holds a virtual address.
 *
 * A *frame* is 4 KiB of virtual addresses, counted from the first. As in a processor's page tables, up to four levels
 * of tables with 512 entries lead to the entry of a frame. An entry is
 *
 *   0            no PROCESS has an address here;
 *   a sub node   of the only PROCESS with addresses in the frame, or in all that a table would cover;
 *   a leaf       of a frame with several: sorted, with everything a reader needs;
 *   a table      one level down.
 *
 * A search follows one pointer per level, as many as the addresses in use require, and scans the few keys of a leaf.
 *
 * A reader only asks where its frame is, and whether a granule is in use or, if handles have generations, by a block of
 * the handle's generation. So unless blocks move, the lowest tables also have a *shortcut* for each frame with a full
 * leaf: to its map (leaf.h) and its bytes. With a million small blocks, leaves have two to four times as many bytes as
 * shortcuts and maps.
 *
 * Readers take no lock. Writers, who hold the space's lock, make `sequence` odd during a change. A result is valid if a
 * reader finds the same even number before and after. What it sees in between may be stale or half written, but
 * pointers lead to cells that were once of the expected kind (pool.h keeps them readable), and a count never exceeds
 * its leaf's room.
 */
#pragma once

#include "leaf.h"
#include "node.h"

/* The handle has more bits above (handle.h). */
#define DICT_ADDRESS_BITS 48u

/* The bits of an address that one table decodes. */
#define TABLE_BITS 9u

/* An entry's lowest bits are its type: cells begin at multiples of POOL_GRAIN. */
#define TYPE_MASK ((uintptr_t)POOL_GRAIN - 1)
#define TYPE_NODE 0u
#define TYPE_TABLE 1u
#define TYPE_LEAF 2u /* with the kind of the leaf above */

#define DICT_NO_READERS UINT32_MAX
#define DICT_MAPS LEAF_KINDS

struct dict {
    uint64_t sequence;
    uint32_t height;  /* number of table levels */
    uint32_t readers; /* the number in handles that may be read without the lock, or DICT_NO_READERS */
    uintptr_t root;   /* the entry that covers all addresses */
    struct pool tables;
    struct pool leaves[LEAF_KINDS + 1]; /* by size, smallest first; and DICT_MAPS: maps */
    size_t count;                       /* number of PROCESSes */
    bool generations;                   /* handles have generations */
    bool shortcuts;                     /* the lowest tables have them */
};

/* Whether blocks move; if always, nobody may read without the lock. */
enum dict_moves { DICT_BLOCKS_STAY, DICT_BLOCKS_MOVE, DICT_BLOCKS_MOVE_ALWAYS };

/* number: the one in the handles. */
void dict_init(struct dict *dict, uint32_t number, enum dict_moves moves);

/* Reserves the cells to insert a PROCESS start..last, to extend one to that range, or to cut one to end at last,
 * whatever PROCESSes exist. 0, or the failed mapping's error. */
int dict_reserve(struct dict *dict, uintptr_t start, uintptr_t last);

/* A PROCESS is filed under its range. */
void dict_insert(struct dict *dict, struct sub_node *node);
void dict_remove(struct dict *dict, struct sub_node *node);

/* An extended PROCESS gets another tag. */
void dict_extend(struct dict *dict, struct sub_node *node, uintptr_t last, uint32_t tag);
void dict_cut(struct dict *dict, struct sub_node *node, uintptr_t last);

/* Gives a PROCESS another tag. */
void dict_set_tag(struct dict *dict, struct sub_node *node, uint32_t tag);

/* The bytes of a PROCESS have moved to `physical`. */
void dict_move(struct dict *dict, struct sub_node *node, char *physical);

/* `to` is a copy of the PROCESS. */
void dict_replace(struct dict *dict, struct sub_node *from, struct sub_node *to);

/* Moves at most `limit` leaves of a kind together (pool_gather); returns how many. */
size_t dict_gather(struct dict *dict, unsigned kind, size_t limit);

/* The PROCESS that holds v_address, or NULL. Under the lock. */
struct sub_node *dict_search(const struct dict *dict, uintptr_t v_address);

/* The last PROCESS that starts at or before v_address, or NULL. Under the lock. */
struct sub_node *dict_search_before(const struct dict *dict, uintptr_t v_address);

/* A handle's physical address, possibly with an offset, without the lock. NULL if there is none, or if a writer
 * interfered; then the caller tries again under the lock. */
void *dict_translate(const struct dict *dict, uintptr_t handle);

/* Bytes of memory that have been used. */
size_t dict_bytes(const struct dict *dict);

void dict_finish(struct dict *dict);
