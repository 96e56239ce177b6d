/*
 * system.c - system.h where there is an operating system: the lock, the choice of a break, and fork.
 */
#include "system.h"

#include "heap.h"
#include "options.h"
#include "os/lock.h"
#include "os/process.h"
#include "ranks.h"
#include "state.h"

static struct lock heap_mutex = LOCK_INIT(LOCK_HMM);

void hmm_system_lock(void) {
    lock_take(&heap_mutex);
}

void hmm_system_unlock(void) {
    lock_give(&heap_mutex);
}

/* Guarded by the lock, but for a thread's own number, which it may look for without: relaxed. */
static struct HmmHeap *walked;
_Atomic uint32_t hmm_system_walker;

void system_set_walker(struct HmmHeap *heap, uint32_t thread) {
    walked = heap;
    atomic_store_explicit(&hmm_system_walker, thread, memory_order_relaxed);
}

bool hmm_system_break(struct program_break *brk) {
    const struct hmm_options *options = hmm_options();
    if (options->break_kind == BREAK_SIMULATED && hmm_break_reserved(brk, options->size) == 0) {
        return true;
    }
    /* Where the real break cannot be moved at all reserved memory takes its place. */
    return hmm_break_real(brk) || hmm_break_more(brk, 0, 0);
}

/* A visit of HmmWalk holds the lock: it may fork only where there is no other thread. */
static void before_fork(void) {
    hmm_heap_check(&hmm_heap, "fork");
}

static void each_lock(void (*act)(struct lock *lock)) {
    act(&heap_mutex);
}

/* The thread goes on under another number; so does a visit of HmmWalk that it is in. */
static void recover(bool alone) {
    (void)alone;
    if (system_walker() != 0) {
        hmm_heap_set_walker(walked, system_thread());
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
