/*
 * hmm.h - HMM in the target: the process's own heap, and those that HmmHeapCreate has made, block by block.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "target/target.h"
#include "walk/layout.h"

enum hmm_state { HMM_USED, HMM_CACHED, HMM_FREE };

struct hmm_block {
    uint64_t region;  /* where its region begins */
    uint64_t end;     /* where its region ends: a header without a block is there */
    uint64_t payload; /* what the user has: behind the header */
    uint64_t room;    /* bytes of it */
    uint64_t header;  /* bytes before it */
    uint64_t site;    /* bytes behind it that say who allocated it */
    enum hmm_state state;
};

/* The heaps: first the process's own, then the newest of the others whose memory has not been reused. Returns their
 * number. */
#define HMM_HEAPS_MAX 257u
size_t hmm_heaps(struct target *target, struct layout *layout, uint64_t heaps[HMM_HEAPS_MAX]);

/* Shows every block of a heap to `visit`, in order, until that returns false. NULL, or what is wrong with the heap, and
 * where. */
const char *hmm_walk_heap(struct target *target, struct layout *layout, uint64_t heap,
                          bool (*visit)(const struct hmm_block *block, void *context), void *context, uint64_t *where);

/* The same for all heaps: one that lies in a block of another comes first. */
const char *hmm_walk(struct target *target, struct layout *layout,
                     bool (*visit)(const struct hmm_block *block, void *context), void *context, uint64_t *where);

/* The bytes of all live blocks; false if a heap is damaged, or changed while it was read. */
bool hmm_live_bytes(struct target *target, struct layout *layout, uint64_t *bytes);
