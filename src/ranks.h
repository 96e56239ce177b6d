/*
 * ranks.h - the order in which all locks are taken: in ascending rank (os/lock.h).
 *
 * Above base and os, which know no heap, and below the heaps, each of which has locks.
 */
#ifndef MEMS_RANKS_H
#define MEMS_RANKS_H

enum lock_rank {
    LOCK_OPTIONS,       /* options being set */
    LOCK_HEAPS,         /* the table of heaps: creation, the unused ones */
    LOCK_HEAP,          /* one heap: its slabs, depot, inbox */
    LOCK_ABANDONED,     /* one per size class: abandoned slabs, the shared slab */
    LOCK_HUGE,          /* huge blocks and their tree */
    LOCK_SPANS,         /* the window: free spans, dirty spans, page map of spans */
    LOCK_METADATA,      /* memory for descriptors */
    LOCK_SPACES,        /* the list of MeMS spaces */
    LOCK_SPACE,         /* one MeMS space */
    LOCK_SPACE_NUMBERS, /* which space's handles have which number */
    LOCK_COMPLAINTS,    /* who is told about the mistakes of a space's users */
    LOCK_HMM            /* the heap on the program break */
};

#endif
