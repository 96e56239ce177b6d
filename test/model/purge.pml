/*
 * Another thread collects an idle heap, finds a slab wholly free and gives its span back; another heap makes a slab of
 * it; and a freer of the first slab's block is late with its push: the new slab's words are clear, none of its blocks
 * is taken for dead, and its live words have one writer.
 *
 * freer: remote_free. owner: fast_live_end and slab_give. thief: reclaim with inbox_collect, slab_collect,
 * slab_disposable and slab_destroy. buyer: slab_create, fast_pop, fast_live_end, inbox_collect.
 *
 * broken NOT_SETTLED: a slab that is destroyed is not settled
 * broken BY_LIVE_BITS: it is taken for empty when no block is live
 */
#ifdef LONG
#define DEPTH 36
#define TURNS 8
#else
#define DEPTH 24
#define TURNS 5
#endif
#define VARIABLES 7
#define THREADS 6
#define LOCKS 4
#include "memory.inc"
#include "unit.inc"

#define LIVE 6
#define SPANS_LOCK 3

bit unsettled; /* under heap 1's lock */
bit bought;    /* heap 2 has the unit */

proctype freer(byte slot) {
    byte entry, head, found, bits, turns;
    bit pushed, gone;
    remote_free(slot)
}

/* The thread of heap 1 frees the other block, which goes through its magazine to the slab. */
proctype owner() {
    byte live;
    load(LIVE, RELAXED, live);
    assert(live & 2);
    store(LIVE, RELAXED, live & ~2);
    lock_take(1);
    taken = taken & ~2;
    lock_give(1)
}

inline collect_for_another() {
    load(REMOTE, SEQ_CST, bits);
    load(LIVE, RELAXED, live);
    assert((bits & ~live) == 0);
    if
    :: bits -> taken = taken & ~bits; unsettled = 1
    :: else
    fi
}

inline slab_empty() {
#ifdef BY_LIVE_BITS
    load(LIVE, RELAXED, live);
    load(REMOTE, RELAXED, bits);
    wholly_free = (live & ~bits) == 0
#else
    wholly_free = taken == 0
#endif
}

inline slab_destroy() {
#ifndef NOT_SETTLED
    if
    :: unsettled ->
        load(REMOTE, SEQ_CST, bits);
        load(LIVE, RELAXED, live);
        store(LIVE, RELAXED, live & ~bits);
        update(REMOTE, RELEASE, found, found & ~bits)
    :: else
    fi;
#endif
    lock_take(SPANS_LOCK);
    store(ENTRY, RELEASE, NONE);
    lock_give(SPANS_LOCK)
}

/* idle_reclaim: another thread, under the idle heap's lock. */
proctype thief() {
    byte entry, head, found, bits, turns, live;
    bit pushed, gone, wholly_free;
    lock_take(1);
    load(INBOX + 1, RELAXED, head);
    if
    :: head == UNIT ->
        exchange_if(INBOX + 1, ACQUIRE, RELAXED, UNIT, 0, found);
        if
        :: found == UNIT ->
            load(ENTRY, RELAXED, entry);
            if
            :: entry == 1 -> clear_link(); collect_for_another()
            :: else -> route()
            fi
        :: else
        fi
    :: skip
    fi;
    load(ENTRY, RELAXED, entry);
    if
    :: entry == 1 ->
        if
        :: collect_for_another()
        :: skip
        fi;
        slab_empty();
        load(LINK, RELAXED, found);
        if
        :: wholly_free && found == 0 -> slab_destroy()
        :: else
        fi
    :: else
    fi;
    lock_give(1)
}

/* The thread of heap 2 takes the unit for a slab if it can, and uses both slots. */
proctype buyer() {
    byte entry, head, found, bits, turns, live;
    bit pushed, gone;
    lock_take(2);
    lock_take(SPANS_LOCK);
    load(ENTRY, RELAXED, entry);
    if
    :: entry == NONE -> bought = 1; taken = 3; store(ENTRY, RELEASE, 2)
    :: else
    fi;
    lock_give(SPANS_LOCK);
    lock_give(2);
    if
    :: bought ->
        load(LIVE, RELAXED, live);
        assert(live == 0);
        store(LIVE, RELAXED, 1);
        load(LIVE, RELAXED, live);
        store(LIVE, RELAXED, live | 2);
        /* fast_live_end of the first */
        load(REMOTE, ACQUIRE, bits);
        load(LIVE, RELAXED, live);
        assert((live & ~bits) == 3);
        store(LIVE, RELAXED, live & ~1);
        lock_take(2);
        taken = taken & ~1;
        lock_give(2)
    :: else
    fi;
    if
    :: lock_take(2);
        load(INBOX + 2, RELAXED, head);
        if
        :: head == UNIT ->
            exchange_if(INBOX + 2, ACQUIRE, RELAXED, UNIT, 0, found);
            if
            :: found == UNIT ->
                load(ENTRY, RELAXED, entry);
                if
                :: entry == 2 -> clear_link(); load(REMOTE, SEQ_CST, bits); assert(bits == 0)
                :: else -> route()
                fi
            :: else
            fi
        :: else
        fi;
        lock_give(2)
    :: skip
    fi
}

init {
    byte bits;
    atomic {
        NEWEST(ENTRY) = 1;
        NEWEST(LIVE) = 3;
        taken = 3;
#ifdef LONG
        if
        :: NEWEST(LIVE) = 7; taken = 7; run freer(4)
        :: run thief()
        fi;
#endif
        run freer(1);
        run owner();
        run thief();
        run buyer()
    }
    _nr_pr == 1;
    bits = NEWEST(REMOTE);
    assert((NEWEST(INBOX + 1) == UNIT) + (NEWEST(INBOX + 2) == UNIT) == (NEWEST(LINK) != 0));
    if
    :: bought -> assert(NEWEST(LIVE) == 2 && bits == 0 && taken == 2)
    :: else -> assert((taken & ~bits) == 0 && (bits == 0 || unsettled || NEWEST(LINK) != 0))
    fi
}
