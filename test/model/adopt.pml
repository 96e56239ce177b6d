/*
 * A thread is stopped between its remote bit and its push, and its slab is abandoned, adopted, collected, destroyed and
 * made anew meanwhile, perhaps for another heap: no block is forgotten.
 *
 * freer: remote_free; the one of the bit 2 frees a block of the new slab. adopter: heap_adopt, inbox_collect, slab_settle,
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
#ifdef LONG
#define OLD 5
#define DEPTH 20
#define TURNS 8
#else
#define OLD 1 /* the blocks of the first slab */
#define DEPTH 14
#define TURNS 5
#endif
#define VARIABLES 7
#define THREADS 5
#define LOCKS 3
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
    :: slot & OLD -> remote_free(slot)
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
        taken = OLD;
        run freer(1);
        run freer(2);
#if OLD == 5
        run freer(4);
#endif
        run adopter()
    }
    _nr_pr == 1;
    check_nothing_forgotten()
}
