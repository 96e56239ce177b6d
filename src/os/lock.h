/* lock.h - a mutex in one word: free (0), held (1), or held with waiters (2). A waiter spins briefly, then sleeps
 * (futex). A lock allocates nothing, keeps errno, can be reset in a forked child, and needs no initialisation except
 * for its rank in debug builds. The release store of lock_give pairs with the acquire of the next lock_take. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "os.h"

/* Debug builds check that a thread takes locks in ascending rank (ranks.h), and never two of one rank. Only fork takes
 * all locks of a heap, by rank and then in a fixed order. */
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

/* All zero in release builds, so a static structure with a lock takes no room in the file. */
#ifdef MEMS_DEBUG
#define LOCK_INIT(r) \
    { .state = 0, .rank = (r) }
#else
#define LOCK_INIT(r) \
    { .state = 0 }
#endif

void lock_init(struct lock *lock, uint32_t rank);

/* For a process that may have several threads. */
void lock_take_shared(struct lock *lock);
void lock_give_shared(struct lock *lock);

enum { LOCK_FREE, LOCK_HELD };

/* With one thread, plain loads and stores suffice; creating a thread makes them visible to it. A signal handler that
 * interrupted the holder waits. */
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

/* Never waits; may fail spuriously. */
bool lock_try(struct lock *lock);

/* For assertions. Debug builds: held by this thread, or by another while this one holds its rank. */
bool lock_held(const struct lock *lock);

/* For assertions: this thread holds no lock. Always true in release builds. */
bool lock_none_held(void);

/* Frees the lock, whoever held it. Only in a forked child. */
void lock_reset(struct lock *lock);

/* In between, this thread may take several locks of one rank, as fork does. Pairs may nest. No effect in release
 * builds. */
void lock_ranks_suspend(void);
void lock_ranks_resume(void);
