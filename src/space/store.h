/*
 * store.h - where the bytes of a movable space's blocks are.
 *
 * A *region* is a mapping in which blocks lie one behind the other, in the order in which they came: new ones at the
 * end of the open region. What is freed leaves a gap. A region without blocks goes back; one with many gaps is emptied
 * by moving its blocks to the open one (store_evacuate). A large block has a region of its own.
 *
 *   | block | gap | block | block | gap |  ...        | slots: ... 2 1 0 |
 *   memory                                ^ top   size ^
 *
 * The slots say which segments have bytes here. They are filled from the mapping's end on, far from the blocks.
 *
 * No locking: the space's lock guards all of it.
 */
#ifndef MEMS_SPACE_STORE_H
#define MEMS_SPACE_STORE_H

#include "dict.h"

/* Bytes of a region, or a little more, to be whole pages; blocks above a quarter have one of their own. */
#define STORE_REGION ((size_t)1 << 20)
#define STORE_LARGE (STORE_REGION / 4)

/*
 * Invariants: the blocks lie below top, live bytes of them; as many slots as there are blocks lead to their segments,
 * others are NULL; what lies from `clean` on reads as zero.
 */
struct region {
    struct list link;
    char *memory;
    size_t size;
    size_t mapped; /* bytes of the mapping, the slots included */
    size_t top;
    size_t clean;
    size_t live;
    uint32_t blocks;       /* number */
    uint32_t slots;        /* number in use, or once in use */
    uint32_t slots_max;    /* number that there is room for */
    bool stuck;            /* a pinned block was found here: not to be emptied before it is unpinned */
    bool given;            /* in a restless store: the block's place has been told */
    struct sub_node *only; /* the slot of a region for one block */
};

/* Addresses that nobody may use for a while. */
struct forbidden {
    void *start;
    size_t size;
};
#define STORE_FORBIDDEN 256u

struct store {
    struct list regions;
    struct region *open;    /* where new blocks go; NULL: nowhere yet */
    struct region *spare;   /* one without blocks, in no list, for the next one to be opened */
    struct region *next;    /* the one that has been reserved for a large block; NULL: none */
    struct region *leaving; /* the one that is being emptied; NULL: none */
    uint32_t next_slot;     /* of its slots */
    struct pool pool;       /* of regions */
    bool restless;          /* each block has a region of its own, and moves after its place was told */
    bool given;             /* some block's place has been told */
    struct forbidden forbidden[STORE_FORBIDDEN]; /* what blocks of a restless store have left, the last of it */
    size_t forbidden_count;                      /* of all that there was */
    size_t page_size;
    size_t mapped_bytes; /* of all regions, without their slots */
    size_t used_bytes;   /* up to the tops of the regions: blocks, and the gaps between them */
    size_t live_bytes;   /* of all blocks */
    size_t hopeless;     /* so many bytes of gaps were not worth moving anything */
    uint64_t maps;
    uint64_t unmaps;
    uint64_t moved_blocks; /* number of blocks that have been moved */
    uint64_t moved_bytes;  /* and their bytes */
};

void store_init(struct store *store, size_t page_size, bool restless);

/* Sees to it that a block of `size` bytes can be placed next, with room for `headroom` more if it has a region of its
 * own. 0, or the error of the mapping that failed. */
int store_reserve(struct store *store, size_t size, size_t headroom);

/* Places a block, which has been reserved. Returns whether it reads as zero. */
bool store_place(struct store *store, struct sub_node *node, size_t size);

/* A block of `size` bytes leaves its place. */
void store_leave(struct store *store, struct sub_node *node, size_t size);

/* Changes a block's size from `old` to `size` bytes, if that can be done where it is. */
bool store_resize(struct store *store, struct sub_node *node, size_t old, size_t size);

/* Moves a block elsewhere, which is neither pinned nor copied. 0, or an error; nothing has changed then. */
int store_move(struct store *store, struct dict *dict, struct sub_node *node);

/*
 * Goes on to empty regions with gaps, until about `limit` bytes have been moved. Returns how many bytes that were, and
 * how many the system has got back: *freed. Both 0: there is nothing to gain.
 */
size_t store_evacuate(struct store *store, struct dict *dict, size_t limit, size_t *freed);

/* For a restless store: a block's place is being told; and all blocks whose place was told move, and the memory that
 * they leave may not be accessed any more, so that whoever still uses it is found. */
void store_given(struct store *store, struct sub_node *node);
void store_stir(struct store *store, struct dict *dict);

/* Gives the spare region back, and all that the system has refused to take; returns their bytes. */
size_t store_drop_empty(struct store *store);

/* The table in which a node's place is; to be told when the node moves, and when it is unpinned. */
void store_replace(struct sub_node *from, struct sub_node *to);
void store_unpinned(struct sub_node *node);

/* Bytes for regions and slots. */
size_t store_bytes(const struct store *store);

/* Unmaps everything; returns how many bytes the system has refused to take back. */
size_t store_finish(struct store *store);

/* True when all invariants hold; otherwise *why names the first that does not. */
bool store_valid(const struct store *store, const char **why);

#endif
