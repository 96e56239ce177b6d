/* lock.h - a mutex in one word. It is free (0), held (1), or held with waiters (2); a waiter spins briefly and then
 * sleeps in the kernel (futex). It allocates nothing, needs no initialisation except its rank in debug builds, keeps
 * errno, and can be reset in a forked child. lock_give's release store pairs with the acquire of the next lock_take. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "os.h"

/* Each lock has a rank below LOCK_RANKS_MAX (ranks.h). A thread takes locks in ascending rank, and never two of one
 * rank, which debug builds check; only fork takes all locks of a heap, by rank and then in a fixed order. */
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

/* All zero in release builds, so static structures with a lock take no room in the file. */
#ifdef MEMS_DEBUG
#define LOCK_INIT(r) \
    { .state = 0, .rank = (r) }
#else
#define LOCK_INIT(r) \
    { .state = 0 }
#endif

void lock_init(struct lock *lock, uint32_t rank);

/* lock_take and lock_give in a process that may have several threads. */
void lock_take_shared(struct lock *lock);
void lock_give_shared(struct lock *lock);

enum { LOCK_FREE, LOCK_HELD };

/* With one thread, plain loads and stores are enough, and creating a second thread makes them visible to it. If a
 * signal handler finds the lock held by what it interrupted, it waits. */
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

/* Takes the lock if it is free and returns whether it did. It never waits, and may fail spuriously. */
bool lock_try(struct lock *lock);

/* For assertions: whether it is held; in debug builds by this thread, or by another while this one holds its rank. */
bool lock_held(const struct lock *lock);

/* For assertions: whether the calling thread holds no lock at all; in release builds true. */
bool lock_none_held(void);

/* Frees a lock, whoever held it. Only for the single thread of a forked child. */
void lock_reset(struct lock *lock);

/* Between the two, this thread may take several locks of one rank: fork does, until parent and child have released
 * them. Pairs may nest. No effect in release builds. */
void lock_ranks_suspend(void);
void lock_ranks_resume(void);
