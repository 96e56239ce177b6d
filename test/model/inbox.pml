/*
 * The inbox, a stack of units: each unit that is announced is in it once, and is collected or still there.
 *
 * freer: claim and push. collector: inbox_collect_class of one unit at a time with take_all, pop, sort and the ring of
 * the class. (claim's order does not matter: relaxed would do.)
 *
 * broken PUSH_RELAXED: a push is no release
 * broken TAKE_RELAXED: taking all is no acquire
 * broken TAKE_SPLIT: all are taken by a load and a store
 * broken CLAIM_SPLIT: a link is set by a load and a store
 * broken LINK_CLEARED_FIRST: a unit's link is cleared before the next unit is read from it
 */
#ifdef LONG
#define FREERS 4
#define DEPTH 20
#else
#define FREERS 3
#define DEPTH 12
#endif
#define UNITS 2
#define COLLECTS 2
#define VARIABLES (1 + 2 * UNITS)
#define THREADS (2 + FREERS)
#define LOCKS 1
#include "memory.inc"

#define INBOX 0 /* the newest unit, counted from 1, or 0 */
#define LINK 0  /* of the units, counted from 1: LINK + 1, LINK + 2 */
#define FREED UNITS /* FREED + 1, FREED + 2: the remote bits of the units, one a freer */

#define SET 8

#ifdef PUSH_RELAXED
#define PUSH RELAXED
#else
#define PUSH RELEASE
#endif
#ifdef TAKE_RELAXED
#define TAKE RELAXED
#else
#define TAKE ACQUIRE
#endif

bit in_inbox[UNITS + 1]; /* which units somebody is to collect: exactly one claim a unit */

inline claim(unit) {
#ifdef CLAIM_SPLIT
    load(LINK + unit, SEQ_CST, found);
    if
    :: found == 0 -> store(LINK + unit, SEQ_CST, SET)
    :: else
    fi
#else
    exchange_if(LINK + unit, SEQ_CST, SEQ_CST, 0, SET, found)
#endif
}

proctype freer(byte unit, bits) {
    byte head, found;
    update(FREED + unit, SEQ_CST, found, found | bits);
    load(LINK + unit, SEQ_CST, head);
    if
    :: head == 0 ->
        claim(unit);
        if
        :: found == 0 ->
            assert(!in_inbox[unit]);
            in_inbox[unit] = 1;
            load(INBOX, ACQUIRE, head);
            do
            :: store(LINK + unit, RELAXED, SET | head);
                exchange_if(INBOX, PUSH, ACQUIRE, head, unit, found);
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

byte ring; /* the last unit in it. Under the lock */

/* Reads which unit follows the one in the ring or the stack. */
inline next_of(number, result) {
    load(LINK + number, RELAXED, found);
    assert(found & SET);
    result = found & 7
}

inline ring_add(number) {
    first = number;
    if
    :: ring != 0 ->
        next_of(ring, first);
        store(LINK + ring, RELAXED, SET | number)
    :: else
    fi;
    ring = number;
    store(LINK + ring, RELAXED, SET | first)
}

inline clear_link() {
    in_inbox[unit] = 0;
    store(LINK + unit, SEQ_CST, 0)
}

/* All that is in the inbox, the oldest first. */
inline sort() {
    load(INBOX, RELAXED, head);
#ifdef TAKE_SPLIT
    store(INBOX, RELEASE, 0);
#else
    do
    :: head == 0 -> break
    :: else ->
        exchange_if(INBOX, TAKE, RELAXED, head, 0, found);
        if
        :: found == head -> break
        :: else -> head = found
        fi
    od;
#endif
    if
    :: head != 0 ->
        do
        :: head == 0 -> break
        :: else -> popped[count] = head; count++; next_of(head, head)
        od;
        do
        :: count == 0 -> break
        :: else -> count--; ring_add(popped[count]); popped[count] = 0
        od
    :: else
    fi
}

/* inbox_collect_class. */
inline collect_one() {
    if
    :: ring == 0 -> sort()
    :: else
    fi;
    if
    :: ring != 0 ->
        next_of(ring, unit);
#ifdef LINK_CLEARED_FIRST
        clear_link();
#endif
        if
        :: unit == ring -> ring = 0
        :: else ->
            next_of(unit, first);
            store(LINK + ring, RELAXED, SET | first)
        fi;
#ifndef LINK_CLEARED_FIRST
        clear_link();
#endif
        load(FREED + unit, SEQ_CST, bits);
        update(FREED + unit, RELEASE, found, found & ~bits)
    :: else
    fi
}

/* The owner, or thieves in turn. */
proctype collector() {
    byte unit, head, found, bits, turn, first, count;
    byte popped[UNITS];
    for (turn : 1 .. COLLECTS) {
        lock_take(0);
        collect_one();
        lock_give(0)
    }
}

init {
    byte unit, chain;
    atomic {
        for (unit : 0 .. FREERS - 1) {
            run freer(1 + unit % UNITS, 1 << (unit / UNITS))
        }
        run collector()
    }
    _nr_pr == 1;
    /* The inbox and the ring hold each unit once that is to be collected, and only those. */
    chain = NEWEST(INBOX);
    do
    :: chain == 0 && ring == 0 -> break
    :: chain == 0 && ring != 0 ->
        chain = NEWEST(LINK + ring) & 7; /* the first; the last leads nowhere then */
        NEWEST(LINK + ring) = SET;
        ring = 0
    :: else ->
        assert(in_inbox[chain]);
        in_inbox[chain] = 0;
        unit = chain;
        chain = NEWEST(LINK + chain) & 7;
        NEWEST(LINK + unit) = 0;
        NEWEST(FREED + unit) = 0
    od;
    for (unit : 1 .. UNITS) {
        assert(NEWEST(LINK + unit) == 0 && NEWEST(FREED + unit) == 0)
    }
}
