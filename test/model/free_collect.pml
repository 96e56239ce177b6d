/*
 * Free and collect: no block that another thread frees is forgotten, none is taken for freed twice, and its next user
 * sees what its last one did.
 *
 * freer: live_end_remotely and remote_free, with push, for the blocks of one unit. owner: inbox_collect and
 * slab_collect with live_settle, or slab_settle, which leaves the link alone.
 *
 * broken CLEAR_RELAXED: the link is cleared with no order before the bits are read
 * broken CLEAR_LATE: it is cleared after they are read
 * broken BITS_RELAXED: the bits are read with acquire only
 * broken SET_RELAXED: the bit is set with acquire and release only
 * broken FREE_RELAXED: the bit is set without release: the next user misses what the last one did
 * broken LOOK_RELAXED: the link is read with acquire only
 * broken LINK_FIRST: the link is read before the bit is set
 * broken SECOND_LOOK: live is read after the bit is set, and a clear bit taken for a double free: but a collector may
 *     have settled the slot meanwhile
 */
#ifdef LONG
#define SLOTS 3
#define DEPTH 12
#else
#define SLOTS 2
#define DEPTH 9
#endif
#define ROUNDS 3
#define VARIABLES (4 + SLOTS)
#define THREADS (2 + SLOTS)
#define LOCKS 1
#include "memory.inc"

#define LIVE 0
#define REMOTE 1
#define LINK 2
#define INBOX 3
#define DATA 4 /* and so on: what the users of the blocks do to them, one variable a slot */

#define SET 1
#define UNIT 1
#define ALL ((1 << SLOTS) - 1)

#ifdef CLEAR_RELAXED
#define CLEAR RELAXED
#else
#define CLEAR SEQ_CST
#endif
#ifdef BITS_RELAXED
#define BITS ACQUIRE
#else
#define BITS SEQ_CST
#endif
#ifdef SET_RELAXED
#define SET_BIT ACQ_REL
#else
#define SET_BIT SEQ_CST
#endif
#ifdef LOOK_RELAXED
#define LOOK ACQUIRE
#else
#define LOOK SEQ_CST
#endif
#ifdef FREE_RELAXED
#undef SET_BIT
#define SET_BIT ACQUIRE
#endif

byte free_slots; /* under the lock */

proctype freer(byte slot) {
    byte bits = 1 << slot, found, head;
    store(DATA + slot, RELAXED, 1);
#ifdef LINK_FIRST
    load(LINK, SEQ_CST, head);
#endif
    update(REMOTE, SET_BIT, found, found | bits);
    assert(!(found & bits));
#ifdef SECOND_LOOK
    load(LIVE, SEQ_CST, found);
    assert(found & bits);
#endif
#ifndef LINK_FIRST
    load(LINK, LOOK, head);
#endif
    if
    :: head == 0 ->
        exchange_if(LINK, SEQ_CST, SEQ_CST, 0, SET, found);
        if
        :: found == 0 ->
            load(INBOX, ACQUIRE, head);
            do
            :: store(LINK, RELAXED, SET);
                exchange_if(INBOX, RELEASE, ACQUIRE, head, UNIT, found);
                if
                :: found == head -> break
                :: else -> head = found
                fi
            od
        :: else
        fi
    :: else
    fi
}

inline collect() {
    load(REMOTE, BITS, bits);
    for (slot : 0 .. SLOTS - 1) {
        if
        :: bits & (1 << slot) -> load(DATA + slot, RELAXED, found); assert(found == 1)
        :: else
        fi
    }
    slot = 0;
    free_slots = free_slots | bits;
    load(LIVE, RELAXED, found);
    assert((found & bits) == bits);
    store(LIVE, RELAXED, found & ~bits);
    update(REMOTE, RELEASE, found, found & ~bits)
}

proctype owner() {
    byte bits, found, head, round, slot;
    for (round : 1 .. ROUNDS) {
        lock_take(0);
        if
        :: load(INBOX, RELAXED, head);
            if
            :: head != 0 ->
                exchange_if(INBOX, ACQUIRE, RELAXED, head, 0, found);
                if
                :: found == head ->
                    load(LINK, RELAXED, found);
                    assert(found == SET);
#ifndef CLEAR_LATE
                    store(LINK, CLEAR, 0);
#endif
                    collect();
#ifdef CLEAR_LATE
                    store(LINK, CLEAR, 0);
#endif
                :: else
                fi
            :: else
            fi
        :: collect()
        fi;
        lock_give(0)
    }
}

init {
    byte bits, slot;
    atomic {
        NEWEST(LIVE) = ALL;
        for (slot : 0 .. SLOTS - 1) {
            run freer(slot)
        }
        run owner()
    }
    _nr_pr == 1;
    bits = NEWEST(REMOTE);
    assert((NEWEST(INBOX) == UNIT) == (NEWEST(LINK) != 0));
    assert(bits == 0 || NEWEST(INBOX) == UNIT);
    assert((free_slots ^ bits) == ALL);
    assert(NEWEST(LIVE) == bits)
}
