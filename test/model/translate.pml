/*
 * A reader of the MeMS heap's dictionary takes no lock, while a block is freed, its cell becomes a HOLE's, and then
 * another block's: what the reader takes for the place of a block is never a word of the HOLE, nor of the other block.
 *
 * reader: dict_translate and translate_by_node. writer: give_block, with dict_remove, sub_node_set_tag and
 * hole_list_insert, and take_block with dict_insert.
 *
 * broken FENCE_LEFT_OUT: begin_change has no fence
 * broken END_RELAXED: end_change stores the sequence relaxed
 * broken FIRST_RELAXED: the reader's first load of the sequence is relaxed
 * broken PLACE_RELAXED: so is the load of the place
 * broken NOT_COMPARED: the reader does not look at the sequence again
 */
#define VARIABLES 4
#define THREADS 4
#define LOCKS 1
#define DEPTH 8
#include "memory.inc"

#define SEQUENCE 0
#define ENTRY 1 /* 1: the cell is in the dictionary */
#define TAG 2   /* of which block the cell is, 0: a HOLE's */
#define PLACE 3 /* where the bytes of block 1 or 2 are: as its number; or LINK */

#define LINK 9 /* a word of a HOLE's tree node */

/* The writer's knowledge at its last release fence, which each of its later stores passes on. */
View fenced[THREADS];

inline fence_release() {
    d_step { join_(fenced[_pid], view[_pid]) }
}

inline store_plainly(x, new) {
    d_step {
        v_ = new;
        append_(x, RELAXED);
        join_(memory[x].released[memory[x].newest], fenced[_pid])
    }
}

inline begin_change(odd) {
    store_plainly(SEQUENCE, odd);
#ifndef FENCE_LEFT_OUT
    fence_release()
#endif
}

inline end_change(even) {
#ifdef END_RELAXED
    store_plainly(SEQUENCE, even)
#else
    store(SEQUENCE, RELEASE, even)
#endif
}

proctype writer() {
    begin_change(1);
    store(ENTRY, RELEASE, 0);
    end_change(2);
    store(TAG, RELEASE, 0);
    store_plainly(PLACE, LINK);
    store(PLACE, RELEASE, 2);
    store(TAG, RELEASE, 2);
    begin_change(3);
    store(ENTRY, RELEASE, 1);
    end_change(4)
}

#ifdef FIRST_RELAXED
#define FIRST RELAXED
#else
#define FIRST ACQUIRE
#endif
#ifdef PLACE_RELAXED
#define PLACE_ORDER RELAXED
#else
#define PLACE_ORDER ACQUIRE
#endif

proctype reader(byte wanted) {
    byte sequence, again, entry, tag, place;
    load(SEQUENCE, FIRST, sequence);
    load(ENTRY, ACQUIRE, entry);
    if
    :: entry == 1 ->
        load(TAG, ACQUIRE, tag);
        load(PLACE, PLACE_ORDER, place);
#ifdef NOT_COMPARED
        again = sequence;
#else
        load(SEQUENCE, RELAXED, again);
#endif
        if
        :: again == sequence && (sequence & 1) == 0 && tag == wanted -> assert(place == wanted)
        :: else
        fi
    :: else
    fi
}

init {
    atomic {
        NEWEST(ENTRY) = 1;
        NEWEST(TAG) = 1;
        NEWEST(PLACE) = 1;
        run writer();
        run reader(1);
        run reader(2)
    }
}
