/*
 * system.c - system.h where there is an operating system: the lock, the choice of a break, and fork.
 */
#include "system.h"

#include "heap.h"
#include "options.h"
#include "os/lock.h"
#include "os/process.h"
#include "ranks.h"
#include "root.h"
#include "state.h"

/* How much is reserved in the place of the real break: from so much down to so little. */
#define RESERVED_MAX ((size_t)64 << 30)
#define RESERVED_MIN ((size_t)1 << 20)

void hmm_system_lock(void) {
    lock_take(&hmm_root.lock);
}

void hmm_system_unlock(void) {
    lock_give(&hmm_root.lock);
}

bool hmm_system_break(struct program_break *brk) {
    const struct hmm_options *options = hmm_options();
    if (options->break_kind == BREAK_REAL && hmm_break_real(brk)) {
        return true;
    }
    /* Where the real break cannot be moved at all, as much reserved memory takes its place as the limits allow. */
    size_t size = options->break_kind == BREAK_REAL ? RESERVED_MAX : options->size;
    do {
        if (hmm_break_reserved(brk, size) == 0) {
            return true;
        }
        size /= 2;
    } while (size >= RESERVED_MIN);
    return hmm_break_real(brk);
}

/* A visit of HmmWalk holds the lock: it may fork only where there is no other thread. */
static void before_fork(void) {
    hmm_heap_check("fork");
}

static void each_lock(void (*act)(struct lock *lock)) {
    act(&hmm_root.lock);
}

/* The thread goes on under another number; so does a visit of HmmWalk that it is in. */
static void recover(bool alone) {
    (void)alone;
    if (atomic_load_explicit(&hmm_heap.walker, memory_order_relaxed) != 0) {
        atomic_store_explicit(&hmm_heap.walker, system_thread(), memory_order_relaxed);
    }
}

static struct process_participant participant = {
    .rank = LOCK_HMM,
    .begin = hmm_options_begin,
    .before_fork = before_fork,
    .each_lock = each_lock,
    .recover = recover,
};

__attribute__((constructor(PROCESS_JOIN))) static void join(void) {
    process_join(&participant);
}
