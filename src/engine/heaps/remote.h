/*
 * remote.h - frees of blocks in another thread's heap.
 *
 * Such a free sets the block's remote bit (live_map.h); that checks the free, needs no memory and cannot fail. The
 * first one in a unit since it was last collected also puts the unit into the *inbox* of the slab's heap: a stack of
 * units, linked through window.inbox_links, to which any thread pushes. Whoever holds the heap's lock takes it whole,
 * and sorts the units by class. Those of a class are collected when it needs blocks, the oldest first: by then the
 * freeing threads are probably done with the unit, so its cache lines change hands once, not for each block. Until then
 * the unit's link stays set, so nobody announces it again, and the slab is not destroyed.
 *
 *   inbox:    unit + 1 of the newest, 0, or INBOX_CLOSED while no thread has the heap
 *   backlog:  units that left the inbox and are not sorted yet; the same as the inbox
 *   ring:     of each class, unit + 1 of the last one in a ring, whose link leads to the first; or 0
 *   link:     0, or LINK_SET | unit + 1 of the next, or LINK_SET alone at the end of a stack
 *
 * A freeing thread sets a bit and then reads the link; a collector clears the link and then reads the bits. Both are
 * seq_cst, so at least one sees what the other did, and no freed block is forgotten.
 *
 * If a thread stops between setting the bit and pushing the unit, the unit may meanwhile get another heap, or none. So
 * whoever finds a unit in the wrong inbox routes it on.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "heap.h"

#define LINK_SET 0x80000000u

/* Announces a unit: its link was clear after a remote bit was set. With no lock held but the thread's own heap's. */
void remote_announce(size_t unit);

/* Frees a block of a slab that another heap owns. False when it is not live. Locks as for remote_announce. */
static inline bool remote_free(void *block) {
    if (UNLIKELY(!live_end_remotely(block))) {
        return false;
    }
    size_t unit = window_unit(block);
    /* seq_cst, after the remote bit: partner of the clearing of the link before a collection. */
    if (UNLIKELY(atomic_load_explicit(&window.inbox_links[unit], memory_order_seq_cst) == 0)) {
        remote_announce(unit);
    }
    return true;
}

/* Opens the inbox for the heap's next thread, if it is closed. Release: pairs with the acquire of whoever pushes. */
static inline void inbox_open(struct heap *heap) {
    if (atomic_load_explicit(&heap->inbox, memory_order_relaxed) == INBOX_CLOSED) {
        atomic_store_explicit(&heap->inbox, 0, memory_order_release);
    }
}

/* Whether there is something to collect. */
static inline bool inbox_has_units(const struct heap *heap) {
    uint32_t head = atomic_load_explicit(&heap->inbox, memory_order_relaxed);
    return head != 0 && head != INBOX_CLOSED;
}

/* For the heap's own thread: collects the unit of a class that has waited longest. False: a short search found none. */
bool inbox_collect_class(struct heap *heap, unsigned size_class);

/* Collects up to `units` units of the heap's inbox. False when none are left. `writer`: the caller is the heap's own
 * thread. Under the heap's lock. */
bool inbox_collect(struct heap *heap, size_t units, bool writer);

/* Closes the inbox until the next thread, and routes on its units. The heap's slabs are abandoned already. */
void inbox_close(struct heap *heap);

/* In a forked child: empties all inboxes and clears all links, because some were set by threads that it does not
 * have. */
void inboxes_clear(void);

/* After inboxes_clear: announces all remote frees again. */
void inboxes_refill(void);
