#include "heap_state.h"

#include "hmm_report.h"

#if UINTPTR_MAX > UINT32_MAX
const struct key_constants hmm_key_constants = KEY_CONSTANTS;
#endif

/* Asking who we are costs a system call, and matters only during a walk of a heap with this lock. */
NOINLINE void hmm_heap_check(struct HmmHeap *heap, const char *operation) {
    uint32_t walker = atomic_load_explicit(&heap->walker, memory_order_relaxed);
    if (walker == 0) {
        walker = system_walker();
    }
    if (walker == 0 || walker == WALKER_NONE) {
        return;
    }
    if (UNLIKELY(walker == system_thread())) {
        hmm_report_fault(heap, operation, NULL, "called by a visit of HmmWalk", NULL);
    }
}

COLD void hmm_heap_set_walker(struct HmmHeap *heap, uint32_t thread) {
    bool hooked = heap->hooks.lock != NULL;
    uint32_t nobody = hooked ? WALKER_NONE : 0;
    atomic_store_explicit(&heap->walker, thread != 0 ? thread : nobody, memory_order_relaxed);
    if (!hooked) {
        system_set_walker(heap, thread);
    }
}

NOINLINE void hmm_heap_lock(struct HmmHeap *heap, const char *operation) {
    hmm_heap_check(heap, operation);
    if (heap->hooks.lock != NULL) {
        heap->hooks.lock(heap->hooks.context);
    } else {
        hmm_system_lock();
    }
    heap->locked = true;
}

NOINLINE void hmm_heap_unlock(struct HmmHeap *heap) {
    heap->locked = false;
    if (heap->hooks.lock != NULL) {
        heap->hooks.unlock(heap->hooks.context);
    } else {
        hmm_system_unlock();
    }
}
