/*
 * fork.c - the engine around fork.
 *
 * Before: every lock is taken, in order of rank, so that what they guard is whole at the moment of the fork. After, the
 * parent gives them back; the child makes them free, and takes over what the other threads, which do not exist in it,
 * were in the middle of.
 *
 * glibc's fork takes the lock of the list of stdio's streams after these handlers have run, and a thread in
 * fflush(NULL) that holds it may wait for one in getline() that holds a stream and waits for a lock of ours. So where
 * libc lets us, we take that lock first: the order is then stdio's list, a stream, the heap, everywhere.
 */
#include "base/compiler.h"
#include "engine.h"
#include "heap.h"
#include "huge.h"
#include "metadata.h"
#include "orphan.h"
#include "parcel.h"
#include "root.h"
#include "span.h"

/* glibc's, exported but not declared. */
extern void _IO_list_lock(void) __attribute__((weak));
extern void _IO_list_unlock(void) __attribute__((weak));
extern void _IO_list_resetlock(void) __attribute__((weak));
extern char __libc_single_threaded __attribute__((weak));

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
    if (&__libc_single_threaded && __libc_single_threaded) {
        alone = true;
        return;
    }
    if (_IO_list_lock) {
        _IO_list_lock();
    }
    lock_ranks_suspend();
    each_lock(lock_take);
    alone = false;
}

void engine_fork_parent(void) {
    if (alone) {
        return;
    }
    each_lock(lock_give);
    lock_ranks_resume();
    if (_IO_list_unlock) {
        _IO_list_unlock();
    }
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
    if (_IO_list_resetlock) {
        _IO_list_resetlock();
    }
}
