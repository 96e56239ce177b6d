/*
 * system.c - system.h where there is an operating system: the lock, the choice of a break, and fork.
 */
#include "system.h"

#include <pthread.h>

#include "base/lock.h"
#include "heap.h"
#include "options.h"
#include "os/os.h"
#include "state.h"

static struct lock heap_mutex = LOCK_INIT(LOCK_HMM);

void system_lock(void) {
    lock_take(&heap_mutex);
}

void system_unlock(void) {
    lock_give(&heap_mutex);
}

bool system_break(struct program_break *brk) {
    const struct hmm_options *options = hmm_options();
    if (options->break_kind == BREAK_REAL && break_real(brk)) {
        return true;
    }
    return break_reserved(brk, options->size) == 0 || break_real(brk);
}

/* With one thread there is nobody to wait for; and if it forks in a signal handler that interrupted the heap, it must
 * not wait for itself. Decided before the fork, for both sides. */
static bool alone;

static void fork_prepare(void) {
    if (os_single_threaded()) {
        alone = true;
        return;
    }
    os_streams_lock();
    heap_lock("fork");
    alone = false; /* under the lock: other threads may fork as well */
}

static void fork_parent(void) {
    if (!alone) {
        system_unlock();
        os_streams_unlock();
    }
}

static void fork_child(void) {
    if (!alone) {
        lock_reset(&heap_mutex);
        os_streams_reset();
    }
}

/*
 * pthread_atfork may allocate, so it is called with no lock held; and before the constructors of any other library (the
 * linker's -z initfirst), so that our handlers are the last to run before a fork and the first after it: those of
 * others may allocate, or wait for threads that do.
 */
__attribute__((constructor(101))) static void begin(void) {
    pthread_atfork(fork_prepare, fork_parent, fork_child);
}
