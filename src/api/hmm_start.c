/*
 * hmm_start.c - what libhmm does when it is loaded: it registers what keeps the heap whole around fork.
 *
 * pthread_atfork may allocate, so it is called with no lock held; and before the constructors of any other library (the
 * linker's -z initfirst), so that our handlers are the last to run before a fork and the first after it: those of
 * others may allocate, or wait for threads that do.
 */
#include <pthread.h>
#include <stdbool.h>

#include "backend.h"
#include "hmm/heap.h"
#include "os/os.h"

/* With one thread there is nobody to wait for; and if it forks in a signal handler that interrupted a stream or the
 * heap, it must not wait for itself. Decided before the fork, for both sides. */
static bool alone;

/* The C library's streams come before the heap, as in each thread that prints and allocates. */
static void prepare(void) {
    bool single = os_single_threaded();
    if (!single) {
        os_streams_lock();
    }
    hmm_fork_prepare();
    alone = single; /* under the locks: other threads may fork as well */
}

static void parent(void) {
    bool streams_taken = !alone;
    hmm_fork_parent();
    if (streams_taken) {
        os_streams_unlock();
    }
}

static void child(void) {
    hmm_fork_child();
    if (!alone) {
        os_streams_reset();
    }
}

__attribute__((constructor(101))) void hmm_start(void) {
    pthread_atfork(prepare, parent, child);
}
