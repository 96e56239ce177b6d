/*
 * process.h - what happens to a process as a whole, its start and fork, for all heaps of a library at once.
 *
 * Each heap is a participant. It joins in a constructor of priority PROCESS_JOIN; the one constructor after these, in
 * process.c, starts the participants and registers one set of handlers around fork. A library has its own copy of all
 * this, so two libraries in one process register two sets, which do not disturb each other.
 *
 * What runs, each for all participants before the next begins, in ascending order of rank if nothing else is said:
 *
 *   start     begin
 *   prepare   before_fork; then the lock of stdio's list of streams is taken; then all locks of each
 *   parent    the locks of each are given back, in descending order; then that of stdio
 *   child     the locks of each are made free; then recover; then the lock of stdio is reset
 *
 * In a process with one thread, prepare and parent do nothing, and child calls recover alone: there is nobody to wait
 * for, and if the fork happens in a signal handler that interrupted a heap, it must not wait for itself.
 *
 * Where the library is loaded first (-z initfirst), the handlers are the last to run before a fork and the first after
 * it: other libraries' handlers may allocate, or wait for threads that do. vfork, _Fork and a bare clone run no
 * handlers.
 */
#ifndef MEMS_OS_PROCESS_H
#define MEMS_OS_PROCESS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "lock.h"

/* A participant's structure is static. All functions but each_lock may be NULL. */
struct process_participant {
    /* That of its first lock: so locks are taken in ascending rank over all participants. */
    uint32_t rank;

    /* Called once, before main, with no lock held. `environment` is what the loader hands to constructors; it may be
     * used only where libc has no environment yet (os_environment), since musl hands over nothing. */
    void (*begin)(char *const *environment);

    /* Called before any lock is taken. It may end a process that must not fork now. */
    void (*before_fork)(void);

    /* Calls act for each of the participant's locks, in the order in which they are taken. A lock that guards a list of
     * locks belongs to another participant, of lower rank, so that the list cannot change before all are given back. */
    void (*each_lock)(void (*act)(struct lock *lock));

    /* In the child: makes whole what other threads, which do not exist in it, were in the middle of. With `alone` the
     * process had one thread, no lock was taken, and a signal handler may have interrupted the heap. */
    void (*recover)(bool alone);

    struct list link; /* process.c's */
};

/* The priority of a constructor that calls process_join; the lowest that a compiler leaves to programs. */
#define PROCESS_JOIN 101

/* Whether this is the process that the library was started in, or a forked child: not one made by vfork or a bare
 * clone, which may share the memory of its parent, and not one made by _Fork, which cannot be told from these. */
bool process_is_own(void);

/* Adds a participant, in a constructor of that priority. To add it again has no effect, then or later. */
void process_join(struct process_participant *participant);

#endif
