/*
 * hmm.c - the functions of hmm.h: what C's names for the same ask of their arguments, and the heap.
 */
#include "hmm.h"

#include "base/bits.h"
#include "heap.h"
#include "region.h"
#include "state.h"

EXPORT void *HmmAlloc(size_t size) {
    return hmm_alloc(size);
}

EXPORT void HmmFree(void *ptr) {
    hmm_free("HmmFree", ptr);
}

EXPORT void *HmmCalloc(size_t count, size_t size) {
    return hmm_alloc_zeroed(count, size);
}

EXPORT void *HmmRealloc(void *ptr, size_t size) {
    if (size == 0 && ptr != NULL) {
        hmm_free("HmmRealloc", ptr);
        return NULL;
    }
    return hmm_realloc("HmmRealloc", ptr, size);
}

EXPORT void *HmmAlignedAlloc(size_t alignment, size_t size) {
    if (!is_power_of_two(alignment)) {
        system_set_errno(EINVAL);
        return NULL;
    }
    return hmm_alloc_aligned(alignment, size);
}

EXPORT size_t HmmUsableSize(void *ptr) {
    return hmm_usable_size("HmmUsableSize", ptr);
}

EXPORT size_t HmmTrim(void) {
    return hmm_trim(0);
}

EXPORT void HmmStats(struct HmmStats *stats) {
    hmm_stats(stats);
}

EXPORT int HmmUseBuffer(void *buffer, size_t size) {
    bool locked = heap_enter("HmmUseBuffer");
    int error = EBUSY;
    if (hmm_heap.brk.move == NULL) {
        struct program_break brk;
        error = buffer != NULL && hmm_break_simulated(&brk, buffer, size) ? 0 : EINVAL;
        if (error == 0) {
            hmm_heap_start(&brk);
        }
    }
    heap_leave(locked);
    return error;
}

EXPORT HmmFaultHandler HmmSetFaultHandler(HmmFaultHandler handler) {
    bool locked = heap_enter("HmmSetFaultHandler");
    HmmFaultHandler before = hmm_heap.handler;
    hmm_heap.handler = handler;
    heap_leave(locked);
    return before;
}
