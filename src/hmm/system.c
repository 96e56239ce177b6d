/* system.c - system.h on an operating system. */
#include "system.h"

#include "heap_state.h"
#include "hmm_options.h"
#include "hmm_root.h"
#include "os/lock.h"
#include "os/os.h"
#include "os/process.h"
#include "ranks.h"

void hmm_system_lock(void) {
    lock_take(&hmm_root.lock);
}

void hmm_system_unlock(void) {
    lock_give(&hmm_root.lock);
}

/* Guarded by the lock, except that a thread may look for its own id without it: relaxed. */
static struct HmmHeap *walked;
_Atomic uint32_t hmm_system_walker;

void system_set_walker(struct HmmHeap *heap, uint32_t thread) {
    walked = heap;
    atomic_store_explicit(&hmm_system_walker, thread, memory_order_relaxed);
}

void hmm_confine(void) {
    if (!process_is_own()) {
        return;
    }
    bool locked = heap_enter(&hmm_heap, "setrlimit");
    if (hmm_options()->confine == TOGGLE_ON) {
        hmm_break_confine(&hmm_heap.brk);
    }
    heap_leave(&hmm_heap, locked);
}

void hmm_ask_limits(void) {
    if (!process_is_own()) {
        return;
    }
    bool locked = heap_enter(&hmm_heap, "setrlimit");
    hmm_break_ask_limits();
    heap_leave(&hmm_heap, locked);
}

static bool beside_malloc; /* under the lock */

void hmm_beside_malloc(void) {
    hmm_system_lock();
    beside_malloc = true;
    hmm_system_unlock();
}

bool hmm_system_break(struct program_break *brk) {
    hmm_break_ask_limits();
    const struct hmm_options *options = hmm_options();
    if (options->break_kind == BREAK_SIMULATED && hmm_break_reserved(brk, options->size) == 0) {
        return true;
    }
    if (options->break_kind == BREAK_AUTO && beside_malloc && hmm_break_more(brk, 0, 0)) {
        return true;
    }
    /* If the real break cannot be moved at all. */
    return hmm_break_real(brk) || hmm_break_more(brk, 0, 0);
}

/* Replaces an earlier heap at the same address. */
void hmm_system_made(struct HmmHeap *heap) {
    heap->own = heap_own(heap);
    for (uint32_t i = 0; i < HMM_HEAPS_KNOWN; i++) {
        if (atomic_load_explicit(&hmm_root.made[i], memory_order_relaxed) == (uintptr_t)heap) {
            return;
        }
    }
    uint32_t place = atomic_fetch_add_explicit(&hmm_root.made_count, 1, memory_order_relaxed) % HMM_HEAPS_KNOWN;
    atomic_store_explicit(&hmm_root.made[place], (uintptr_t)heap, memory_order_relaxed);
}

/* A visit of HmmWalk holds the lock, so it may fork only if there is no other thread. */
static void before_fork(void) {
    hmm_heap_check(&hmm_heap, "fork");
}

static void each_lock(void (*act)(struct lock *lock)) {
    act(&hmm_root.lock);
}

/* In the child, the thread and a visit of HmmWalk that it is in have a new id. */
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
    os_build_id(&hmm_root.head.build_id);
    process_join(&participant);
}
