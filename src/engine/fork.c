/*
 * fork.c - the engine around fork.
 *
 * Before: every lock is taken, in order of rank, so that what they guard is whole at the moment of the fork. After, the
 * parent gives them back; the child makes them free, and takes over what the other threads, which do not exist in it,
 * were in the middle of.
 */
#include "engine.h"

#include "heap.h"
#include "huge.h"
#include "metadata.h"
#include "orphan.h"
#include "os/os.h"
#include "parcel.h"
#include "root.h"
#include "span.h"

/* With one thread there is nobody to wait for and nothing to take over; and if it forks in a signal handler that
 * interrupted the heap, it must not wait for itself. Decided before the fork, for both sides. */
static bool alone;

/* Every lock, in order of rank. */
static void each_lock(void (*act)(struct lock *)) {
    act(&mems_root.lock);
    act(&registry.lock);
    for (unsigned size_class = 0; size_class < SIZE_CLASSES; size_class++) {
        act(&orphans[size_class].lock);
    }
    act(&huge_table.lock);
    act(&spans.lock);
    act(&metadata.lock);
    act(&parcel_pool.lock);
}

void engine_fork_prepare(void) {
    if (os_single_threaded()) {
        alone = true;
        return;
    }
    os_streams_lock();
    lock_ranks_suspend();
    each_lock(lock_take);
    alone = false; /* under the locks: other threads may fork as well */
}

void engine_fork_parent(void) {
    if (alone) {
        return;
    }
    each_lock(lock_give);
    lock_ranks_resume();
    os_streams_unlock();
}

void engine_fork_child(void) {
    if (alone) {
        return;
    }
    each_lock(lock_reset);
    lock_ranks_resume();
    if (root_ready()) {
        spans_recover();
        heaps_recover();
    }
    os_streams_reset();
}
