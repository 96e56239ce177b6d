/*
 * A thread ends while others free its blocks, and its heap may get another thread at once: no block is forgotten, and
 * nobody goes on looking for an open inbox.
 *
 * freer: remote_free. thread: thread_end with inbox_collect, abandoned_leave and inbox_close; then thread_begin with
 * inbox_open (which needs no order of its own: relaxed here), heap_adopt and inbox_collect.
 *
 * broken CLOSED_FIRST: the inbox is closed before the slabs are abandoned
 * broken CLOSE_RELAXED: it is closed without release
 * broken CLOSE_BLIND: it is closed without acquire
 * broken PUSH_RELAXED: a push reads the inbox without acquire
 * broken ENTRY_RELAXED: route reads the entry without acquire
 * broken CHAIN_DROPPED: what was in the inbox is not routed on
 * broken CLEAR_RELAXED: the link is cleared with no order before the bits are read
 */
#ifdef LONG
#define ENDS 2
#define DEPTH 18
#define TURNS 6
#else
#define ENDS 1 /* how many of the heap's threads end */
#define DEPTH 12
#define TURNS 4
#endif
#define FREERS 2
#define VARIABLES 6
#define THREADS (2 + FREERS)
#define LOCKS 3
#include "memory.inc"
#include "unit.inc"

#ifdef CLOSE_RELAXED
#define CLOSE ACQUIRE
#elif defined(CLOSE_BLIND)
#define CLOSE RELEASE
#else
#define CLOSE ACQ_REL
#endif

proctype freer(byte slot) {
    byte entry, head, found, bits, turns;
    bit pushed, gone;
    remote_free(slot)
}

inline leave() {
    lock_take(CLASS_LOCK);
    load(ENTRY, RELAXED, entry);
    load(LINK, RELAXED, found);
    if
    :: entry != 1
    :: entry == 1 && taken == 0 && found == 0 -> store(ENTRY, RELEASE, NONE)
    :: else -> store(ENTRY, RELEASE, ABANDONED)
    fi;
    lock_give(CLASS_LOCK)
}

inline inbox_close() {
    update(INBOX + 1, CLOSE, chain, CLOSED);
#ifndef CHAIN_DROPPED
    if
    :: chain == UNIT -> load(LINK, RELAXED, found); assert(found & SET); route()
    :: else
    fi
#endif
}

/* thread_end, and the heap's next thread, which may adopt the slab, and so on. */
proctype thread() {
    byte entry, head, found, bits, turns, chain, ends;
    bit pushed, gone;
    do
    :: ends < ENDS ->
        ends++;
        lock_take(1);
        inbox_collect(1);
#ifdef CLOSED_FIRST
        inbox_close();
        leave();
#else
        leave();
        inbox_close();
#endif
        lock_give(1);
        if
        :: store(INBOX + 1, RELAXED, 0);
            lock_take(1);
            if
            :: lock_take(CLASS_LOCK);
                load(ENTRY, RELAXED, entry);
                if
                :: entry == ABANDONED -> store(ENTRY, RELEASE, 1)
                :: else
                fi;
                lock_give(CLASS_LOCK)
            :: skip
            fi;
            inbox_collect(1);
            lock_give(1)
        :: break
        fi
    :: else -> break
    od
}

init {
    byte bits, slot;
    atomic {
        NEWEST(ENTRY) = 1;
        taken = (1 << FREERS) - 1;
        for (slot : 0 .. FREERS - 1) {
            run freer(1 << slot)
        }
        run thread()
    }
    _nr_pr == 1;
    check_nothing_forgotten()
}
