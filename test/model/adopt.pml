/*
 * A thread is stopped between its remote bit and its push, and its slab is abandoned, adopted, collected, destroyed and
 * made anew meanwhile, perhaps for another heap: no block is forgotten.
 *
 * freer: remote_free; the second one frees a block of the new slab. adopter: heap_adopt, inbox_collect, slab_settle,
 * slab_disposable, slab_destroy, slab_create.
 *
 * That no slab is destroyed while its link is set is not needed for this: a freer may set it the moment after. It keeps
 * most units out of inboxes of heaps that do not have them.
 *
 * broken NO_SECOND_LOOK: let_go does not look at the bits after it has cleared the link
 * broken SECOND_LOOK_RELAXED: it looks with acquire only
 * broken CLEAR_RELAXED: the link is cleared with no order before the bits are read
 * broken ENTRY_RELAXED: route reads the entry without acquire
 * broken NO_RECHECK: abandoned_collect does not look at the entry again under the class's lock
 */
#define VARIABLES 7
#define THREADS 4
#define LOCKS 3
#define DEPTH 14
#define TURNS 5
#include "memory.inc"
#include "unit.inc"

#define entry_is(id) (NEWEST(ENTRY) == id)

#ifdef LINK_IGNORED
#define LINK_CLEAR(link) true
#else
#define LINK_CLEAR(link) (link == 0)
#endif

#define HANDED 6 /* the second block is in the second freer's hands */

proctype freer(byte slot) {
    byte entry, head, found, bits, turns;
    bit pushed, gone;
    if
    :: slot == 1 -> remote_free(1)
    :: slot == 2 ->
        if
        :: await(HANDED, 1); remote_free(2)
        :: await(HANDED, 2)
        fi
    fi
}

/* The inbox, or all units of the slab as slab_take does if some slot is not settled; or neither. Under its lock. */
inline collect_somehow() {
    if
    :: inbox_collect(2)
    :: entry_is(2) -> collect()
    :: skip
    fi
}

/* The thread of heap 2 adopts the slab, destroys it when it can, and makes another one of the unit, perhaps for heap 1,
 * whose inbox is open. It hands out a block of it, which the second freer frees. */
proctype adopter() {
    byte entry, head, found, bits, turns, next;
    bit pushed, gone, made;
    lock_take(2);
    lock_take(CLASS_LOCK);
    load(ENTRY, RELAXED, entry);
    if
    :: entry == ABANDONED -> store(ENTRY, RELEASE, 2)
    :: else
    fi;
    lock_give(CLASS_LOCK);
    collect_somehow();
    collect_somehow();
    load(LINK, RELAXED, found);
    if
    :: taken == 0 && entry_is(2) && LINK_CLEAR(found) ->
        store(ENTRY, RELEASE, NONE);
        lock_give(2);
        if
        :: next = 1
        :: next = 2
        fi;
        lock_take(next);
        assert(taken == 0);
        assert(NEWEST(REMOTE) == 0);
        taken = 2;
        made = 1;
        store(ENTRY, RELEASE, next);
        lock_give(next);
        lock_take(2)
    :: else
    fi;
    lock_give(2);
    store(HANDED, RELEASE, (made -> 1 : 2));
    lock_take(2);
    collect_somehow();
    lock_give(2)
}

init {
    byte bits;
    atomic {
        NEWEST(ENTRY) = ABANDONED;
        taken = 1;
        run freer(1);
        run freer(2);
        run adopter()
    }
    _nr_pr == 1;
    check_nothing_forgotten()
}
