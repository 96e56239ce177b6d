/*
 * system.c - system.h where there is an operating system: the lock, the choice of a break, and fork.
 */
#include "system.h"

#include <pthread.h>

#include "heap.h"
#include "options.h"
#include "os/lock.h"
#include "os/os.h"
#include "ranks.h"
#include "state.h"

/* How much is reserved in the place of the real break: from so much down to so little. */
#define RESERVED_MAX ((size_t)64 << 30)
#define RESERVED_MIN ((size_t)1 << 20)

static struct lock heap_mutex = LOCK_INIT(LOCK_HMM);

void hmm_system_lock(void) {
    lock_take(&heap_mutex);
}

void hmm_system_unlock(void) {
    lock_give(&heap_mutex);
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

/* With one thread there is nobody to wait for; and if it forks in a signal handler that interrupted the heap, it must
 * not wait for itself. Decided before the fork, for both sides. */
static bool alone;

static void fork_prepare(void) {
    if (os_single_threaded()) {
        alone = true;
        return;
    }
    os_streams_lock();
    hmm_heap_lock("fork");
    alone = false; /* under the lock: other threads may fork as well */
}

static void fork_parent(void) {
    if (!alone) {
        hmm_system_unlock();
        os_streams_unlock();
    }
}

static void fork_child(void) {
    /* The thread goes on under another number; so does a visit of HmmWalk that it is in. */
    if (atomic_load_explicit(&hmm_heap.walker, memory_order_relaxed) != 0) {
        atomic_store_explicit(&hmm_heap.walker, system_thread(), memory_order_relaxed);
    }
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
