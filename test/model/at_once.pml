/*
 * Two frees of one block at the same moment. The calls may both succeed: the owner's thread frees with no atomic read-
 * modify-write, and a slot may be settled between another thread's test and its fetch_or. But then the slot's remote
 * bit is set while its live bit is clear; whoever collects the unit, or takes the block from the magazine, finds that.
 * After both calls no block has two users without a report. (While a call is going on nobody can tell: it may as well
 * have come after the allocation, and have freed the new block.)
 *
 * freer: live_end_remotely. owner: live_end, slab_collect for the writer, slab_take, and fast_pop.
 *
 * broken NOT_CHECKED: fast_pop does not look at the remote bit
 */
#ifdef LONG
#define COLLECTS 6
#define ALLOCATIONS 6
#define DEPTH 24
#else
#define COLLECTS 1 /* how often the slab may be collected, at each place */
#define ALLOCATIONS 2
#define DEPTH 12
#endif
#define VARIABLES 4
#define THREADS 5
#define LOCKS 1
#include "memory.inc"

#define LIVE 0
#define REMOTE 1
#define DONE 2 /* and 3: each free */

byte reports;
byte users;      /* who got the block anew */
bit owner_frees; /* one of the two */
bit in_magazine; /* the owner's alone */
bit free_slot;   /* under the lock */
bit wrong_slot;  /* found to be freed twice: stays out of use */

inline live_test() {
    load(REMOTE, ACQUIRE, remote);
    load(LIVE, RELAXED, live)
}

proctype freer(byte number) {
    byte live, remote;
    live_test();
    if
    :: !live || remote -> reports++
    :: else ->
        update(REMOTE, SEQ_CST, remote, 1);
        if
        :: remote -> reports++
        :: else
        fi
    fi;
    store(DONE + number, RELEASE, 1)
}

/* Under the lock. */
inline slab_collect(writer) {
    load(REMOTE, SEQ_CST, remote);
    load(LIVE, RELAXED, live);
    if
    :: remote && !live -> reports++
    :: remote && live ->
        free_slot = 1;
        if
        :: writer -> store(LIVE, RELAXED, 0); update(REMOTE, RELEASE, remote, 0)
        :: else
        fi
    :: else
    fi
}

inline collect_perhaps() {
    do
    :: turn < COLLECTS -> turn++; lock_take(0); slab_collect(true); lock_give(0)
    :: break
    od;
    turn = 0
}

/* From the magazine, or else from the slab. */
inline allocate() {
    lock_take(0);
    if
    :: !in_magazine && free_slot -> free_slot = 0; in_magazine = 1
    :: else
    fi;
    lock_give(0);
    if
    :: in_magazine ->
        in_magazine = 0;
#ifndef NOT_CHECKED
        load(REMOTE, RELAXED, remote);
        if
        :: remote -> reports++
        :: else
        fi;
#endif
        load(LIVE, RELAXED, live);
        store(LIVE, RELAXED, 1);
        users++
    :: else
    fi
}

proctype owner() {
    byte live, remote, turn, allocation;
    if
    :: owner_frees ->
        live_test();
        if
        :: !live || remote -> reports++
        :: else -> store(LIVE, RELAXED, 0); in_magazine = 1
        fi;
        store(DONE, RELEASE, 1)
    :: else
    fi;
    collect_perhaps();
    await(DONE, 1);
    await(DONE + 1, 1);
    for (allocation : 1 .. ALLOCATIONS) {
        collect_perhaps();
        allocate()
    }
    /* Whoever set a bit has announced the unit: it is collected at last. */
    lock_take(0);
    slab_collect(true);
    lock_give(0);
    assert(reports)
}

#ifdef WITH_THIEF
proctype thief() {
    byte live, remote;
    lock_take(0);
    slab_collect(false);
    if
    :: free_slot ->
        update(REMOTE, ACQ_REL, remote, 0);
        if
        :: remote -> free_slot = 0; users++
        :: else
        fi
    :: else
    fi;
    lock_give(0)
}
#endif

init {
    atomic {
        NEWEST(LIVE) = 1;
        if
        :: owner_frees = 1
        :: run freer(0)
        fi;
        run freer(1);
#ifdef WITH_THIEF
        run thief();
#endif
        run owner()
    }
    _nr_pr == 1;
    assert(users < 2 || reports)
}
