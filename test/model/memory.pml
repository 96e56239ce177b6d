/*
 * The memory of memory.inc itself: it lets happen what C11 does, and no more, in the two patterns that all else is made
 * of.
 *
 * Message passing: one thread writes, then sets a flag with release, which others pass on with relaxed read-
 * modify-writes; who sees that with acquire sees what was written. Dekker's pair: of two threads that each store and
 * then read the other's variable, all seq_cst, one sees the other's store.
 *
 * broken RELEASE_LEFT_OUT: the flag is set without release
 * broken ACQUIRE_LEFT_OUT: it is read without acquire
 * broken STORES_RELEASED: the pair's stores are releases only
 * broken LOADS_ACQUIRED: the pair's loads are acquires only
 */
#ifdef LONG
#define MIDDLES 4
#else
#define MIDDLES 1
#endif
#define DEPTH (3 + MIDDLES)
#define VARIABLES 4
#define THREADS (3 + MIDDLES)
#define LOCKS 1
#include "memory.inc"

#define DATA 0
#define FLAG 1
#define FIRST 2
#define SECOND 3

#ifdef RELEASE_LEFT_OUT
#define SEND RELAXED
#else
#define SEND RELEASE
#endif
#ifdef ACQUIRE_LEFT_OUT
#define RECEIVE RELAXED
#else
#define RECEIVE ACQUIRE
#endif
#ifdef STORES_RELEASED
#define STORE RELEASE
#else
#define STORE SEQ_CST
#endif
#ifdef LOADS_ACQUIRED
#define LOAD ACQUIRE
#else
#define LOAD SEQ_CST
#endif

byte saw[2];

proctype left() {
    store(DATA, RELAXED, 1);
    store(FLAG, SEND, 1);
    store(FIRST, STORE, 1);
    load(SECOND, LOAD, saw[0])
}

proctype middle(byte number) {
    byte found;
    update(FLAG, RELAXED, found, found | 2 << number)
}

proctype right() {
    byte found;
    store(SECOND, STORE, 1);
    load(FIRST, LOAD, saw[1]);
    load(FLAG, RECEIVE, found);
    if
    :: found == (2 << MIDDLES) - 1 ->
        load(DATA, RELAXED, found);
        assert(found == 1)
    :: else
    fi
}

init {
    byte number;
    atomic {
        run left();
        for (number : 0 .. MIDDLES - 1) {
            run middle(number)
        }
        run right()
    }
    _nr_pr == 1;
    assert(saw[0] || saw[1])
}
