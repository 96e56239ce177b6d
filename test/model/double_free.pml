/*
 * Two frees of one block, one after the other: the second one is reported at the call, whoever does the two and whoever
 * collects meanwhile; so is a reader that comes after a free. A single free is never told.
 *
 * other: live_end_remotely; as a reader: live_test. owner: live_end and fast_live_end, with slab_settle at any time.
 * thief: slab_collect and slab_destroy by another thread under the heap's lock.
 *
 * broken LIVE_FIRST: live_test reads live before remote: it may see both from different moments
 * broken TEST_RELAXED: live_test reads remote without acquire
 * broken REMOTE_FIRST: live_settle clears remote before live
 * broken SETTLE_RELAXED: live_settle clears remote without release
 */
#ifdef LONG
#define SETTLES 3
#define THIEVES 3
#define DEPTH 16
#else
#define SETTLES 1 /* how often the owner may settle the slot, at each place */
#define THIEVES 1
#define DEPTH 8
#endif
#define VARIABLES 3
#define THREADS (4 + THIEVES)
#define LOCKS 1
#include "memory.inc"

#define LIVE 0
#define REMOTE 1
#define FREED 2 /* the first free is done: what orders the two is the program's own */

/* Who frees: the heap's thread, or another one. A reader asks for the block's size. */
mtype = { OWNER, OTHER, READER, NOBODY };
mtype first, second;
byte done;      /* frees that went through */
byte reports;
bit destroyed;  /* the slab. Under the lock */

#ifdef TEST_RELAXED
#define TEST RELAXED
#else
#define TEST ACQUIRE
#endif
#ifdef SETTLE_RELAXED
#define SETTLE RELAXED
#else
#define SETTLE RELEASE
#endif

inline live_test() {
#ifdef LIVE_FIRST
    load(LIVE, ACQUIRE, live);
    load(REMOTE, ACQUIRE, remote)
#else
    load(REMOTE, TEST, remote);
    load(LIVE, RELAXED, live)
#endif
}

/* slab_collect for the writer, or slab_settle. Under the lock. */
inline settle() {
    load(REMOTE, SEQ_CST, remote);
    load(LIVE, RELAXED, live);
    assert(!remote || live);
    if
    :: remote ->
#ifdef REMOTE_FIRST
        update(REMOTE, RELEASE, remote, 0);
        store(LIVE, RELAXED, 0)
#else
        store(LIVE, RELAXED, 0);
        update(REMOTE, SETTLE, remote, 0)
#endif
    :: else
    fi
}

inline settle_perhaps() {
    do
    :: turn < SETTLES ->
        turn++;
        lock_take(0);
        if
        :: !destroyed -> settle()
        :: else
        fi;
        lock_give(0)
    :: break
    od;
    turn = 0
}

proctype other(bool is_first) {
    byte live, remote;
    if
    :: is_first
    :: else -> await(FREED, 1)
    fi;
    live_test();
    if
    :: !live || remote -> reports++
    :: else ->
        if
        :: !is_first && second == READER -> done++
        :: else ->
            update(REMOTE, SEQ_CST, remote, 1);
            if
            :: remote -> reports++
            :: else -> done++
            fi
        fi
    fi;
    if
    :: is_first -> store(FREED, RELEASE, 1)
    :: else
    fi
}

inline owner_frees() {
    live_test();
    if
    :: !live || remote -> reports++
    :: else -> done++; store(LIVE, RELAXED, 0)
    fi
}

proctype owner() {
    byte live, remote, turn;
    settle_perhaps();
    if
    :: first == OWNER -> owner_frees(); store(FREED, RELEASE, 1)
    :: second == OWNER -> await(FREED, 1); settle_perhaps(); owner_frees()
    :: else
    fi;
    settle_perhaps()
}

/* Another thread collects under the owner's lock; if the slab is wholly free then, it destroys it: slab_destroy. */
proctype thief() {
    byte live, remote;
    lock_take(0);
    load(REMOTE, SEQ_CST, remote);
    if
    :: remote -> settle(); destroyed = 1
    :: else
    fi;
    lock_give(0)
}

init {
    byte thieves;
    atomic {
        NEWEST(LIVE) = 1;
        if
        :: first = OTHER; second = OTHER
        :: first = OTHER; second = OWNER
        :: first = OWNER; second = OTHER
        :: first = OTHER; second = READER
        :: first = OTHER; second = NOBODY
        fi;
        if
        :: first == OTHER -> run other(true)
        :: else
        fi;
        if
        :: second == OTHER || second == READER -> run other(false)
        :: else
        fi;
        run owner();
        for (thieves : 1 .. THIEVES) {
            run thief()
        }
    }
    _nr_pr == 1;
    assert(done == 1);
    assert(reports == (second != NOBODY))
}
