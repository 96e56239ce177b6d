#include "lock.h"

#include "base/compiler.h"
#include "base/fault.h"
#include "futex.h"

enum { FREE = LOCK_FREE, HELD = LOCK_HELD, CONTENDED };

/* A microsecond or two, as long as a system call; most holders finish within that. */
#define SPINS 100

#ifdef MEMS_DEBUG

static TLS uint32_t ranks_held; /* bits */
static TLS uint32_t suspensions;

static void rank_set(struct lock *lock, uint32_t rank) {
    lock->rank = rank;
}

static void rank_take(const struct lock *lock) {
    ASSERT(lock->rank < LOCK_RANKS_MAX);
    ASSERT(suspensions != 0 || ranks_held >> lock->rank == 0);
    ranks_held |= UINT32_C(1) << lock->rank;
}

static bool rank_held(const struct lock *lock) {
    return (ranks_held >> lock->rank & 1) != 0;
}

static void rank_give(const struct lock *lock) {
    ranks_held &= ~(UINT32_C(1) << lock->rank);
}

bool lock_none_held(void) {
    return ranks_held == 0;
}

void lock_ranks_suspend(void) {
    suspensions++;
}

void lock_ranks_resume(void) {
    ASSERT(suspensions != 0);
    suspensions--;
}

#else

#define rank_set(lock, rank) ((void)(rank))
#define rank_take(lock) ((void)0)
#define rank_held(lock) true
#define rank_give(lock) ((void)0)

bool lock_none_held(void) {
    return true;
}

void lock_ranks_suspend(void) {}

void lock_ranks_resume(void) {}

#endif

static bool try_take(struct lock *lock) {
    uint32_t expected = FREE;
    /* acquire: pairs with the release in lock_give */
    return atomic_compare_exchange_weak_explicit(&lock->state, &expected, HELD, memory_order_acquire,
                                                 memory_order_relaxed);
}

static COLD void take_contended(struct lock *lock) {
    for (int spin = 0; spin < SPINS; spin++) {
        if (atomic_load_explicit(&lock->state, memory_order_relaxed) == FREE && try_take(lock)) {
            return;
        }
        SPIN_PAUSE();
    }
    /* A thread that slept marks the lock contended, because others may still wait. acquire: pairs with lock_give. */
    while (atomic_exchange_explicit(&lock->state, CONTENDED, memory_order_acquire) != FREE) {
        futex_wait(&lock->state, CONTENDED);
    }
}

void lock_init(struct lock *lock, uint32_t rank) {
    atomic_init(&lock->state, FREE);
    rank_set(lock, rank);
}

void lock_take_shared(struct lock *lock) {
    rank_take(lock);
    if (UNLIKELY(!try_take(lock))) {
        take_contended(lock);
    }
}

bool lock_try(struct lock *lock) {
    bool taken = try_take(lock);
    if (taken) {
        rank_take(lock);
    }
    return taken;
}

void lock_give_shared(struct lock *lock) {
    rank_give(lock);
    /* release: pairs with the acquire of the next lock_take */
    uint32_t state = atomic_exchange_explicit(&lock->state, FREE, memory_order_release);
    ASSERT(state != FREE);
    if (UNLIKELY(state == CONTENDED)) {
        futex_wake(&lock->state);
    }
}

bool lock_held(const struct lock *lock) {
    /* relaxed: the calling thread stored it */
    return atomic_load_explicit(&lock->state, memory_order_relaxed) != FREE && rank_held(lock);
}

void lock_reset(struct lock *lock) {
    rank_give(lock);
    /* relaxed: a child of fork has one thread */
    atomic_store_explicit(&lock->state, FREE, memory_order_relaxed);
}
