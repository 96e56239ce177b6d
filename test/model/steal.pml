/*
 * A thief takes blocks that others have freed out of an idle heap, while the heap's thread allocates and frees in the
 * same word of live bits without a lock, takes slots itself, and the block is freed again: live words have one writer,
 * no slot has two users, and each user sees what the one before did.
 *
 * freer: live_end_remotely. owner: fast_pop, fast_live_end, slab_take with slab_settle, slab_give. thief: slab_collect
 * for another thread than the writer, slab_steal with live_take_over.
 *
 * broken THIEF_WRITES: the thief sets the block's live bit
 * broken THIEF_SETTLES: it settles what it collects
 * broken SLOT_KEPT: the slot it takes stays free in the bitmap
 * broken NO_LOCK: it does not take the heap's lock
 * broken BITS_RELAXED: the remote bits are read without acquire
 */
#ifdef LONG
#define ROUNDS 3
#define DEPTH 22
#else
#define ROUNDS 2
#define DEPTH 14
#endif
#define VARIABLES 3
#define THREADS 4
#define LOCKS 1
#include "memory.inc"

#define LIVE 0
#define REMOTE 1
#define DATA 2 /* what the users of the first block do to it */

#define BOTH 3

#ifdef BITS_RELAXED
#define BITS RELAXED
#else
#define BITS SEQ_CST
#endif

byte free_slots; /* the slab's bitmap, under the lock */
byte users;      /* of the first block */
byte given;      /* how often it changed hands */

/* A user gets the first block: it sees what the last one did, and does something itself. */
inline use() {
    users++;
    assert(users == 1);
    load(DATA, RELAXED, found);
    assert(found == given);
    given++;
    store(DATA, RELAXED, given)
}

inline live_test(bit_) {
    load(REMOTE, ACQUIRE, remote);
    load(LIVE, RELAXED, live);
    assert((live & ~remote) & bit_)
}

/* A user that is not the owner's thread frees the first block. */
inline remote_free() {
    live_test(1);
    users--;
    update(REMOTE, SEQ_CST, found, found | 1);
    assert(!(found & 1))
}

proctype freer() {
    byte live, remote, found;
    remote_free()
}

inline slab_collect(writer) {
    load(REMOTE, BITS, remote);
    load(LIVE, RELAXED, live);
    assert((remote & ~live) == 0);
    free_slots = free_slots | remote;
    if
    :: writer && remote ->
        store(LIVE, RELAXED, live & ~remote);
        update(REMOTE, RELEASE, found, found & ~remote)
    :: else
    fi
}

/* Its fast paths hold no lock: the second block is freed, and comes out of the magazine again. */
inline owner_frees_and_allocates() {
    live_test(2);
    store(LIVE, RELAXED, live & ~2);
    load(LIVE, RELAXED, live);
    store(LIVE, RELAXED, live | 2)
}

proctype owner() {
    byte live, remote, found, turn;
    for (turn : 1 .. ROUNDS) {
        owner_frees_and_allocates();
        lock_take(0);
        slab_collect(true);
        if
        :: free_slots & 1 ->
            /* slab_take, and then fast_pop. */
            free_slots = free_slots & ~1;
            lock_give(0);
            load(LIVE, RELAXED, live);
            store(LIVE, RELAXED, live | 1);
            use();
            if
            :: users--;
                live_test(1);
                store(LIVE, RELAXED, live & ~1);
                lock_take(0);
                free_slots = free_slots | 1;
                lock_give(0);
                break
            :: remote_free()
            :: break
            fi
        :: else -> lock_give(0)
        fi
    }
}

proctype thief() {
    byte live, remote, found, turn;
    for (turn : 1 .. ROUNDS) {
#ifndef NO_LOCK
        lock_take(0);
#endif
#ifdef THIEF_SETTLES
        slab_collect(true);
#else
        slab_collect(false);
#endif
        /* slab_steal. Its orders may be relaxed: whoever collected the bit under this lock has acquired it. */
        load(REMOTE, RELAXED, remote);
        if
        :: free_slots & remote & 1 ->
            update(REMOTE, RELAXED, found, found & ~1);
            assert(found & 1);
#ifndef SLOT_KEPT
            free_slots = free_slots & ~1;
#endif
#ifdef THIEF_WRITES
            load(LIVE, RELAXED, live);
            store(LIVE, RELAXED, live | 1);
#endif
#ifndef NO_LOCK
            lock_give(0);
#endif
            use();
            if
            :: remote_free()
            :: break
            fi
        :: else
#ifndef NO_LOCK
            -> lock_give(0)
#endif
        fi
    }
}

init {
    byte remote;
    atomic {
        NEWEST(LIVE) = BOTH;
        users = 1;
        run freer();
        run owner();
        run thief()
    }
    _nr_pr == 1;
    remote = NEWEST(REMOTE);
    assert(NEWEST(LIVE) & 2);
    assert(users == ((NEWEST(LIVE) & ~remote) & 1));
    assert(users + ((free_slots | remote) & 1) == 1)
}
