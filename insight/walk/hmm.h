/* hmm.h - HMM in the target: the process's own heap and those of HmmHeapCreate, block by block. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "target/target.h"
#include "walk/layout.h"

enum hmm_state { HMM_USED, HMM_CACHED, HMM_FREE };

struct hmm_block {
    uint64_t region;  /* where its region begins */
    uint64_t end;     /* its region's end: a header without a block */
    uint64_t payload; /* what the user has: behind the header */
    uint64_t room;    /* bytes of it */
    uint64_t header;  /* bytes before it */
    uint64_t site;    /* bytes behind it that say who allocated it */
    enum hmm_state state;
};

/* The process's own heap first, then the newest others whose memory has not been reused. Returns how many. */
#define HMM_HEAPS_MAX 257u
size_t hmm_heaps(struct target *target, struct layout *layout, uint64_t heaps[HMM_HEAPS_MAX]);

/* Visits a heap's blocks in order, until `visit` returns false. NULL, or what is wrong, and where. */
const char *hmm_walk_heap(struct target *target, struct layout *layout, uint64_t heap,
                          bool (*visit)(const struct hmm_block *block, void *context), void *context, uint64_t *where);

/* For all heaps: one that lies in another's block comes first. */
const char *hmm_walk(struct target *target, struct layout *layout,
                     bool (*visit)(const struct hmm_block *block, void *context), void *context, uint64_t *where);

/* False if a heap is damaged, or changed while it was read. */
bool hmm_live_bytes(struct target *target, struct layout *layout, uint64_t *bytes);
