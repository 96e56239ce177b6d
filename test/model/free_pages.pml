/*
 * A thread has the system take a page of a slab back, with no lock held, while the slab's thread, a thief and the
 * thread that adopts the slab look for a slot, and the slab is abandoned, adopted and destroyed: no user's bytes vanish,
 * nor those of whoever gets the destroyed slab's memory, and whoever changes the slab holds the lock of its present
 * heap or class.
 *
 * purger: slab_purge_begin, slab_purge_pages, heap_purge_end. owner: slabs_first_with_room with slab_take, slab_give,
 * abandoned_leave. thief: slab_steal. adopter: heap_adopt_of, and then as the owner; slab_disposable, slab_destroy.
 *
 * broken NOT_MARKED: the slab is not marked as purging
 * broken TAKEN_ANYWAY: a heap takes a slot of a slab that is purging
 * broken STOLEN_ANYWAY: a thief does
 * broken DESTROYED_ANYWAY: such a slab is destroyed when it is empty
 * broken FIRST_LOCK: the purge ends under the lock under which it began
 * broken NOT_CHECKED_AGAIN: it ends under the lock of the heap that had the slab a moment ago
 */
#ifdef LONG
#define ROUNDS 2
#define PURGES 2
#else
#define ROUNDS 1 /* how often each thread looks for a slot */
#define PURGES 1
#endif
#define DEPTH 16
#define VARIABLES 2
#define THREADS 5
#define LOCKS 3
#include "memory.inc"

#define ENTRY 0 /* of the slab's unit: the heap 1 or 2, ABANDONED, or NONE when it is destroyed */
#define DATA 1  /* what the page holds: 0, or who uses the slot on it */

#define CLASS_LOCK 0 /* 1 and 2 are the heaps' */
#define ABANDONED 3
#define NONE 4

#define LOCK_OF(entry) (entry == ABANDONED -> CLASS_LOCK : entry)

/* The slab, which one thread at a time may change. */
bit free_slot = 1;
bit purging;
byte inside;

inline enter() {
    inside++;
    assert(inside == 1)
}

inline leave() {
    inside--
}

/* The slot's user, without a lock. */
inline use(who) {
    store(DATA, RELAXED, who);
    load(DATA, RELAXED, found);
    assert(found == who)
}

/* A slot of the slab if it belongs to the heap; under its lock. */
inline take_slot(heap, may) {
    load(ENTRY, RELAXED, entry);
    got = 0;
    if
    :: entry == heap ->
        enter();
        if
        :: free_slot && (may || !purging) -> free_slot = 0; got = 1
        :: else
        fi;
        leave()
    :: else
    fi
}

/* Whoever has the slab by now gets the slot back. */
inline give_slot() {
    do
    :: load(ENTRY, ACQUIRE, entry);
        lock_take(LOCK_OF(entry));
        load(ENTRY, RELAXED, found);
        if
        :: found == entry -> enter(); free_slot = 1; leave(); lock_give(LOCK_OF(entry)); break
        :: else -> lock_give(LOCK_OF(entry))
        fi
    od
}

#ifdef TAKEN_ANYWAY
#define TAKES 1
#else
#define TAKES 0
#endif
#ifdef STOLEN_ANYWAY
#define STEALS 1
#else
#define STEALS 0
#endif
#ifdef DESTROYED_ANYWAY
#define DISPOSABLE free_slot
#else
#define DISPOSABLE (free_slot && !purging)
#endif

inline look_for_a_slot(heap, may, who) {
    lock_take(heap);
    take_slot(heap, may);
    lock_give(heap);
    if
    :: got -> use(who); give_slot()
    :: else
    fi
}

proctype owner() {
    byte entry, found, round;
    bit got;
    for (round : 1 .. ROUNDS) {
        look_for_a_slot(1, TAKES, 1)
    }
    /* Its thread ends. */
    lock_take(1);
    lock_take(CLASS_LOCK);
    enter();
    store(ENTRY, RELEASE, ABANDONED);
    leave();
    lock_give(CLASS_LOCK);
    lock_give(1)
}

proctype thief() {
    byte entry, found, round;
    bit got;
    for (round : 1 .. ROUNDS) {
        look_for_a_slot(1, STEALS, 3)
    }
}

proctype adopter() {
    byte entry, found, round;
    bit got;
    lock_take(2);
    lock_take(CLASS_LOCK);
    load(ENTRY, RELAXED, entry);
    if
    :: entry == ABANDONED -> enter(); store(ENTRY, RELEASE, 2); leave()
    :: else
    fi;
    lock_give(CLASS_LOCK);
    lock_give(2);
    for (round : 1 .. ROUNDS) {
        look_for_a_slot(2, TAKES, 2)
    }
    lock_take(2);
    load(ENTRY, RELAXED, entry);
    got = 0;
    if
    :: entry == 2 && DISPOSABLE -> enter(); store(ENTRY, RELEASE, NONE); got = 1; leave()
    :: else
    fi;
    lock_give(2);
    if
    :: got -> use(4) /* the memory belongs to somebody else */
    :: else
    fi
}

proctype purger() {
    byte entry, found, round;
    bit got;
    for (round : 1 .. PURGES) {
        lock_take(1);
        load(ENTRY, RELAXED, entry);
        got = 0;
        if
        :: entry == 1 ->
            enter();
            if
            :: free_slot && !purging ->
                got = 1;
#ifndef NOT_MARKED
                purging = 1
#endif
            :: else
            fi;
            leave()
        :: else
        fi;
        lock_give(1);
        if
        :: got ->
            store(DATA, RELAXED, 0); /* the system */
            do
            ::
#ifdef FIRST_LOCK
                entry = 1;
#else
                load(ENTRY, ACQUIRE, entry);
#endif
                assert(entry != NONE);
                lock_take(LOCK_OF(entry));
#if defined(FIRST_LOCK) || defined(NOT_CHECKED_AGAIN)
                found = entry;
#else
                load(ENTRY, RELAXED, found);
#endif
                if
                :: found == entry ->
                    assert(NEWEST(ENTRY) == entry);
                    enter();
                    purging = 0;
                    leave();
                    lock_give(LOCK_OF(entry));
                    break
                :: else -> lock_give(LOCK_OF(entry))
                fi
            od
        :: else
        fi
    }
}

init {
    atomic {
        NEWEST(ENTRY) = 1;
        run owner();
        run thief();
        run adopter();
        run purger()
    }
    _nr_pr == 1;
    assert(!purging && free_slot)
}
