/*
 * The ready block of a bin of a heap's large cache: the heap's thread puts a block there and takes it without a lock,
 * while another thread, which holds the heap's lock, takes it. Each block is taken once, and whoever takes it sees what
 * was done to it before.
 *
 * owner: large_cache_put_ready, large_cache_take_ready. taker: large_cache_flush.
 *
 * broken OWNER_STORES: the owner empties the place by a store
 * broken TAKER_STORES: the other thread does
 * broken PUT_RELAXED: the block is put there without release
 * broken TAKEN_RELAXED: it is taken without acquire
 */
#ifdef LONG
#define ROUNDS 4
#define DEPTH 20
#else
#define ROUNDS 2
#define DEPTH 10
#endif
#define VARIABLES 2
#define THREADS 3
#define LOCKS 1
#include "memory.inc"

#define READY 0
#define DATA 1 /* what the block's users do to it */

#ifdef PUT_RELAXED
#define PUT RELAXED
#else
#define PUT RELEASE
#endif
#ifdef TAKEN_RELAXED
#define TAKEN RELAXED
#else
#define TAKEN ACQUIRE
#endif

byte users; /* of the block */
byte given; /* how often it changed hands */

inline use() {
    users++;
    assert(users == 1);
    load(DATA, RELAXED, found);
    assert(found == given);
    given++;
    store(DATA, RELAXED, given)
}

/* large_cache_take_place: `found` tells whether there was a block. */
inline take(stores) {
    load(READY, RELAXED, found);
    if
    :: found && stores -> store(READY, RELAXED, 0)
    :: found && !stores -> update(READY, TAKEN, found, 0)
    :: else
    fi
}

inline put() {
    users--;
    load(READY, RELAXED, found);
    assert(found == 0);
    store(READY, PUT, 1)
}

proctype owner() {
    byte found, turn;
    put();
    for (turn : 1 .. ROUNDS) {
#ifdef OWNER_STORES
        take(true);
#else
        take(false);
#endif
        if
        :: found -> use(); put()
        :: else -> break
        fi
    }
}

proctype taker() {
    byte found;
#ifdef TAKER_STORES
    take(true);
#else
    take(false);
#endif
    if
    :: found -> use()
    :: else
    fi
}

init {
    atomic {
        users = 1;
        run owner();
        run taker()
    }
    _nr_pr == 1;
    assert(users + NEWEST(READY) == 1)
}
