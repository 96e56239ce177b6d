/*
 * store.h - the memory of a movable space: regions with the bytes of its blocks.
 *
 * A *region* is a mapping with adjacent blocks in order of arrival; new blocks go to the end of the open region, and
 * freed ones leave gaps. A region without blocks is unmapped; one with many gaps is emptied by moving its blocks to the
 * open region (store_evacuate); a large block has its own.
 *
 *   | block | gap | block | block | gap |  ...        | slots: ... 2 1 0 |
 *   memory                                ^ top   size ^
 *
 * The slots, filled from the end of the mapping, lead to the segments whose bytes are here. The space's lock guards
 * everything.
 */
#pragma once

#include "dict.h"

/* Rounded up to whole pages. Blocks above a quarter of it have their own. */
#define STORE_REGION ((size_t)1 << 20)
#define STORE_LARGE (STORE_REGION / 4)

/* Invariants: the blocks are below top and have live bytes; as many slots as there are blocks lead to their segments,
 * and the others are NULL; memory from `clean` on reads as zero. */
struct region {
    struct list link;
    char *memory;
    size_t size;
    size_t mapped; /* bytes, including the slots */
    size_t top;
    size_t clean;
    size_t live;
    uint32_t blocks;       /* number */
    uint32_t slots;        /* number in use now or earlier */
    uint32_t slots_max;    /* number that fit */
    bool stuck;            /* a pinned block was found here: not to be emptied until it is unpinned */
    bool given;            /* in a restless store: the program knows the block's address */
    struct sub_node *only; /* the slot, if there is a single block */
};

/* Not to be used for a while. */
struct forbidden {
    void *start;
    size_t size;
};
#define STORE_FORBIDDEN 256u

struct store {
    struct list regions;
    struct region *open;    /* where new blocks go; may be NULL */
    struct region *spare;   /* without blocks, in no list, to be opened next */
    struct region *next;    /* reserved for a large block; may be NULL */
    struct region *leaving; /* being emptied; may be NULL */
    uint32_t next_slot;     /* of the leaving region's slots */
    struct pool pool;       /* for struct region */
    bool restless;          /* each block has its own region, and moves once its address is known */
    bool given;             /* the program knows some block's address */
    struct forbidden forbidden[STORE_FORBIDDEN]; /* the last addresses that blocks of a restless store have left */
    size_t forbidden_count;                      /* of all there ever were */
    size_t page_size;
    size_t mapped_bytes; /* of all regions, without their slots */
    size_t used_bytes;   /* blocks and the gaps between them, up to the tops */
    size_t live_bytes;   /* in all blocks */
    size_t hopeless;     /* this many bytes of gaps were not worth a move */
    uint64_t maps;
    uint64_t unmaps;
    uint64_t moved_blocks; /* number of blocks moved */
    uint64_t moved_bytes;  /* and their bytes */
};

void store_init(struct store *store, size_t page_size, bool restless);

/* Ensures that a block of `size` bytes, plus `headroom` in its own region, can be placed next. 0 or mmap's error. */
int store_reserve(struct store *store, size_t size, size_t headroom);

/* A block that has been reserved; returns whether it reads as zero. */
bool store_place(struct store *store, struct sub_node *node, size_t size);

/* Removes a block of `size` bytes from its place. */
void store_leave(struct store *store, struct sub_node *node, size_t size);

/* In place; false if that is impossible. */
bool store_resize(struct store *store, struct sub_node *node, size_t old, size_t size);

/* Continues emptying regions with gaps, until about `limit` bytes have been moved. Returns how many were moved, and in
 * *freed given back. Both 0: there is nothing to gain. */
size_t store_evacuate(struct store *store, struct dict *dict, size_t limit, size_t *freed);

/* For a restless store: the program learns a block's address; all blocks whose address it knows move, and their old
 * memory faults, to find uses of old addresses. */
void store_given(struct store *store, struct sub_node *node);
void store_stir(struct store *store, struct dict *dict);

/* Gives back the spare region and regions that the system refused to unmap before; returns their bytes. */
size_t store_drop_empty(struct store *store);

/* The first when a node moves, because a region's table has its address; the second when it is unpinned. */
void store_replace(struct sub_node *from, struct sub_node *to);
void store_unpinned(struct sub_node *node);

/* Bytes of regions and slots. */
size_t store_bytes(const struct store *store);

/* Unmaps everything; returns how many bytes the system refused to take back. */
size_t store_finish(struct store *store);

bool store_valid(const struct store *store, const char **why);
