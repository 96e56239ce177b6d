/* ranks.h - the order of all locks: a thread takes them in ascending rank (os/lock.h). */
#pragma once

enum lock_rank {
    LOCK_OPTIONS,   /* the start, the options */
    LOCK_HEAPS,     /* the table of heaps: creating them, finding an unused one */
    LOCK_HEAP,      /* one for each heap: its slabs, depot and inbox; not its magazines and live bits */
    LOCK_ABANDONED, /* one for each size class: its abandoned slabs and its shared slab, with their live bits */
    LOCK_HUGE,      /* the tree of huge blocks */
    LOCK_SAMPLES,   /* records of samples, their stacks and cells */
    LOCK_SPANS,     /* free and dirty spans, the window's top; page map entries where spans are taken and given back */
    LOCK_METADATA,  /* memory for descriptors */
    LOCK_SPACES,    /* the list of MeMS spaces */
    LOCK_SPACE,     /* one for each MeMS space: all of it, including its start and end */
    LOCK_SPACE_NUMBERS, /* which number belongs to which space's handles */
    LOCK_COMPLAINTS,    /* the error handler of the MeMS heap */
    LOCK_HMM            /* all heaps of HMM without a lock of their own */
};
