/*
 * lock.h - a mutual-exclusion lock of one word.
 *
 * A lock is free (0), held (1), or held with waiters (2). It spins a little, then sleeps in the kernel (futex). It
 * allocates nothing, needs no initialisation beyond zero and, in debug builds, its rank, keeps errno, and can be made
 * free again in a forked child. lock_give's release store pairs with the acquire of the next lock_take.
 */
#ifndef MEMS_OS_LOCK_H
#define MEMS_OS_LOCK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "os.h"

/*
 * Each lock has a rank, a number below LOCK_RANKS_MAX that its user gives it (ranks.h). A thread takes locks only in
 * ascending rank, and two of one rank never together; but around fork all of a heap's are taken, in order of rank and,
 * within a rank, in one that is always the same. Debug builds (MEMS_DEBUG) check it.
 */
#define LOCK_RANKS_MAX 32u

#ifdef MEMS_DEBUG
#define LOCK_CHECKED true
#else
#define LOCK_CHECKED false
#endif

struct lock {
    _Atomic uint32_t state;
#ifdef MEMS_DEBUG
    uint32_t rank;
#endif
};

/* In release builds all zero, so that what has a lock and nothing else to begin with takes no room in a file. */
#ifdef MEMS_DEBUG
#define LOCK_INIT(r) \
    { .state = 0, .rank = (r) }
#else
#define LOCK_INIT(r) \
    { .state = 0 }
#endif

void lock_init(struct lock *lock, uint32_t rank);

/* The two below where the process may have other threads. */
void lock_take_shared(struct lock *lock);
void lock_give_shared(struct lock *lock);

enum { LOCK_FREE, LOCK_HELD };

/* In a process with one thread, plain loads and stores do; the creation of a second one makes them visible to it. A
 * lock that is held there, by what a signal has interrupted, is waited for. */
static inline void lock_take(struct lock *lock) {
    if (!LOCK_CHECKED && os_single_threaded() &&
        atomic_load_explicit(&lock->state, memory_order_relaxed) == LOCK_FREE) {
        atomic_store_explicit(&lock->state, LOCK_HELD, memory_order_relaxed);
    } else {
        lock_take_shared(lock);
    }
}

static inline void lock_give(struct lock *lock) {
    if (!LOCK_CHECKED && os_single_threaded()) {
        atomic_store_explicit(&lock->state, LOCK_FREE, memory_order_relaxed);
    } else {
        lock_give_shared(lock);
    }
}

/* Takes the lock if it is free; whether it was. May fail though it is, and never waits. */
bool lock_try(struct lock *lock);

/* Whether the lock is held, in debug builds by the calling thread (or by another thread, while it holds one of the same
 * rank): for assertions. */
bool lock_held(const struct lock *lock);

/* In a forked child's one thread only: makes a lock free, whoever held it. */
void lock_reset(struct lock *lock);

/*
 * Between the two the rank checker lets this thread take several locks of one rank (fork: suspend before the first is
 * taken, resume in parent and child). Pairs may nest. No effect in release builds.
 */
void lock_ranks_suspend(void);
void lock_ranks_resume(void);

#endif
