/*
 * hmm.h - HMM in the target: the regions of its default heap, block by block. Heaps by HmmHeapCreate are in no list:
 * their memory is their owner's.
 */
#ifndef MEMS_INSIGHT_HMM_H
#define MEMS_INSIGHT_HMM_H

#include <stdbool.h>
#include <stdint.h>

#include "layout.h"
#include "target.h"

struct account;

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

/* Shows every block to `visit`, in order, until that returns false. NULL, or what is wrong with the heap, and where. */
const char *hmm_walk(struct target *target, struct layout *layout,
                     bool (*visit)(const struct hmm_block *block, void *context), void *context, uint64_t *where);

/* The rows of account.h that are HMM's. */
void hmm_count(struct account *account, struct layouts *layouts);

#endif
