/*
 * ranks.h - the order in which all locks are taken: in ascending rank (os/lock.h).
 *
 * Above base and os, which know no heap, and below the heaps, each of which has locks.
 */
#ifndef MEMS_RANKS_H
#define MEMS_RANKS_H

enum lock_rank {
    LOCK_OPTIONS,    /* options being set */
    LOCK_REGISTRY,   /* the heaps: creation, end, free list of heaps */
    LOCK_ORPHANS,    /* one per size class: orphaned slabs */
    LOCK_HUGE,       /* huge blocks and their tree */
    LOCK_SPANS,      /* the window: free spans, dirty spans, page map of spans */
    LOCK_METADATA,   /* memory for descriptors */
    LOCK_PARCELS,    /* the pool of empty parcels */
    LOCK_SPACES,     /* the list of MeMS spaces */
    LOCK_SPACE,      /* one MeMS space */
    LOCK_COMPLAINTS, /* who is told about the mistakes of a space's users */
    LOCK_HMM         /* the heap on the program break */
};

#endif
