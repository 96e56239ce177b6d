/* hmm.c - the functions of hmm.h: check arguments and call the heap. HMM_TAGS makes names in parentheses macros. */
#include "hmm.h"

#include "base/bits.h"
#include "break_moves.h"
#include "heap_state.h"
#include "hmm_alloc.h"
#include "region.h"

/* What HmmHeapCreate returns when it fails is no heap, and no block is from it. */
static inline bool no_heap(const struct HmmHeap *heap) {
    if (LIKELY(heap != NULL)) {
        return false;
    }
    system_set_errno(EINVAL);
    return true;
}

static inline bool no_heap_of(const struct HmmHeap *heap, const char *operation, const void *ptr) {
    (void)operation;
    if (UNLIKELY(heap == NULL) && ptr != NULL) {
        system_fault(operation, ptr, "not from this heap", "the heap is NULL");
    }
    return no_heap(heap);
}

EXPORT void *(HmmHeapAlloc)(struct HmmHeap *heap, size_t size) {
    return no_heap(heap) ? NULL : hmm_alloc(heap, size);
}

EXPORT void *(HmmAlloc)(size_t size) {
    return hmm_alloc(&hmm_heap, size);
}

EXPORT void HmmHeapFree(struct HmmHeap *heap, void *ptr) {
    if (!no_heap_of(heap, "HmmFree", ptr)) {
        hmm_free(heap, "HmmFree", ptr);
    }
}

EXPORT void HmmFree(void *ptr) {
    hmm_free(&hmm_heap, "HmmFree", ptr);
}

EXPORT void *(HmmHeapCalloc)(struct HmmHeap *heap, size_t count, size_t size) {
    return no_heap(heap) ? NULL : hmm_alloc_zeroed(heap, count, size);
}

EXPORT void *(HmmCalloc)(size_t count, size_t size) {
    return hmm_alloc_zeroed(&hmm_heap, count, size);
}

EXPORT void *(HmmHeapRealloc)(struct HmmHeap *heap, void *ptr, size_t size) {
    if (no_heap_of(heap, "HmmRealloc", ptr)) {
        return NULL;
    }
    if (size == 0 && ptr != NULL) {
        hmm_free(heap, "HmmRealloc", ptr);
        return NULL;
    }
    return hmm_realloc(heap, "HmmRealloc", ptr, size);
}

EXPORT void *(HmmRealloc)(void *ptr, size_t size) {
    return (HmmHeapRealloc)(&hmm_heap, ptr, size);
}

EXPORT void *(HmmHeapAlignedAlloc)(struct HmmHeap *heap, size_t alignment, size_t size) {
    if (!is_power_of_two(alignment)) {
        system_set_errno(EINVAL);
        return NULL;
    }
    return no_heap(heap) ? NULL : hmm_alloc_aligned(heap, alignment, size);
}

EXPORT void *(HmmAlignedAlloc)(size_t alignment, size_t size) {
    return (HmmHeapAlignedAlloc)(&hmm_heap, alignment, size);
}

EXPORT size_t HmmHeapUsableSize(struct HmmHeap *heap, void *ptr) {
    return no_heap_of(heap, "HmmUsableSize", ptr) ? 0 : hmm_usable_size(heap, "HmmUsableSize", ptr);
}

EXPORT size_t HmmUsableSize(void *ptr) {
    return hmm_usable_size(&hmm_heap, "HmmUsableSize", ptr);
}

EXPORT size_t HmmHeapTrim(struct HmmHeap *heap) {
    return no_heap(heap) ? 0 : hmm_trim(heap, 0);
}

EXPORT size_t HmmTrim(void) {
    return hmm_trim(&hmm_heap, 0);
}

EXPORT void HmmHeapStats(struct HmmHeap *heap, struct HmmStats *stats) {
    if (!no_heap(heap)) {
        hmm_stats(heap, stats);
    } else if (stats != NULL) {
        *stats = (struct HmmStats){0};
    }
}

EXPORT void HmmStats(struct HmmStats *stats) {
    hmm_stats(&hmm_heap, stats);
}

EXPORT int HmmHeapWalk(struct HmmHeap *heap, int (*visit)(const struct HmmBlock *block, void *context), void *context) {
    return no_heap(heap) ? -1 : hmm_walk(heap, visit, context);
}

EXPORT int HmmWalk(int (*visit)(const struct HmmBlock *block, void *context), void *context) {
    return hmm_walk(&hmm_heap, visit, context);
}

/* Whether nothing has been allocated yet. */
static bool unused(const struct HmmHeap *heap) {
    return heap->brk.move == NULL && heap->region_count == 0;
}

#if HMM_BREAK
EXPORT int HmmUseBuffer(void *buffer, size_t size) {
    struct HmmHeap *heap = &hmm_heap;
    bool locked = heap_enter(heap, "HmmUseBuffer");
    int error = EBUSY;
    if (unused(heap)) {
        struct program_break brk;
        error = buffer != NULL && hmm_break_simulated(&brk, buffer, size) ? 0 : EINVAL;
        if (error == 0) {
            hmm_use_break(heap, &brk);
        }
    }
    heap_leave(heap, locked);
    return error;
}
#endif

EXPORT int HmmHeapAddRegion(struct HmmHeap *heap, void *memory, size_t size) {
    if (heap == NULL) {
        return EINVAL;
    }
    bool locked = heap_enter(heap, "HmmAddRegion");
    int error = hmm_region_add_memory(heap, memory, size);
    heap_leave(heap, locked);
    return error;
}

EXPORT int HmmAddRegion(void *memory, size_t size) {
    return HmmHeapAddRegion(&hmm_heap, memory, size);
}

static bool hooks_complete(const struct HmmHooks *hooks) {
    return hooks != NULL && (hooks->lock == NULL) == (hooks->unlock == NULL);
}

/* Not by hmm_heap_set_walker: the caller may be inside a walk over another heap. */
static void set_hooks(struct HmmHeap *heap, const struct HmmHooks *hooks) {
    heap->hooks = *hooks;
    atomic_store_explicit(&heap->walker, hooks->lock != NULL ? WALKER_NONE : 0, memory_order_relaxed);
}

EXPORT int HmmSetHooks(const struct HmmHooks *hooks) {
    struct HmmHeap *heap = &hmm_heap;
    if (!hooks_complete(hooks)) {
        return EINVAL;
    }
    if (!unused(heap)) {
        return EBUSY;
    }
    set_hooks(heap, hooks); /* while there is nothing to lock */
    return 0;
}

/* The heap's state is at the start of its memory. */
EXPORT struct HmmHeap *HmmHeapCreate(void *memory, size_t size, const struct HmmHooks *hooks) {
    size_t gap = round_up((uintptr_t)memory, _Alignof(struct HmmHeap)) - (uintptr_t)memory;
    size_t state = gap + sizeof(struct HmmHeap);
    struct HmmHeap *heap = (struct HmmHeap *)(void *)((char *)memory + gap);
    if (memory == NULL || size < state + REGION_OVERHEAD + BLOCK_MIN || size - state > BLOCK_SIZE_MAX ||
        (uintptr_t)memory > UINTPTR_MAX - size || (hooks != NULL && !hooks_complete(hooks))) {
        system_set_errno(EINVAL);
        return NULL;
    }
    __builtin_memset(heap, 0, sizeof *heap);
    if (hooks != NULL) {
        set_hooks(heap, hooks);
    }
    hmm_region_start(heap);
    (void)hmm_region_add(heap, (char *)memory + state, (char *)memory + size); /* all that it refuses was checked */
    hmm_system_made(heap);
    return heap;
}

EXPORT HmmFaultHandler HmmHeapSetFaultHandler(struct HmmHeap *heap, HmmFaultHandler handler) {
    if (no_heap(heap)) {
        return NULL;
    }
    bool locked = heap_enter(heap, "HmmSetFaultHandler");
    HmmFaultHandler before = heap->handler;
    heap->handler = handler;
    heap_leave(heap, locked);
    return before;
}

EXPORT HmmFaultHandler HmmSetFaultHandler(HmmFaultHandler handler) {
    return HmmHeapSetFaultHandler(&hmm_heap, handler);
}

#if __STDC_HOSTED__
EXPORT void HmmHeapPrintFreelist(struct HmmHeap *heap, FILE *stream) {
    if (!no_heap(heap)) {
        hmm_print_freelist(heap, stream);
    }
}

EXPORT void HmmPrintFreelist(FILE *stream) {
    hmm_print_freelist(&hmm_heap, stream);
}
#endif

#ifdef HMM_TAGS
EXPORT void *HmmTag(void *ptr, const char *site) {
    if (ptr != NULL) {
        *block_site(block_of(ptr)) = site;
    }
    return ptr;
}
#endif
