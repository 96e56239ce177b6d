/* heap_state.h - the state of a heap, and its lock: that of the heap's hooks, or one shared by all heaps without hooks,
 * which a process with a single thread does not take. Functions are called between heap_enter() and heap_leave() unless
 * stated otherwise. */
#pragma once

#include <stdatomic.h>

#include "base/compiler.h"
#include "block.h"
#include "free_bins.h"
#include "hmm.h"
#include "program_break.h"
#include "system.h"

/* Each block size up to QUICK_SIZE_MAX has a quick list, full at HMM_QUICK_BYTES. */
#define QUICK_SIZE_MAX (65 * BLOCK_ALIGN)
#define QUICK_REQUEST_MAX (QUICK_SIZE_MAX - BLOCK_HEADER - BLOCK_SITE)
#define QUICK_LISTS (QUICK_SIZE_MAX / BLOCK_ALIGN + 1)

struct quick_list {
    struct block *head; /* NULL: empty. Proved: it was pushed here, or came from a link that agreed with its check */
    uint32_t waiting;   /* number and bytes of its blocks: n * QUICK_ONE + bytes */
};
#define QUICK_ONE (UINT32_C(1) << 16)
_Static_assert(HMM_QUICK_BYTES + QUICK_SIZE_MAX < QUICK_ONE, "a quick list's bytes leave room for its number");

/* Contiguous memory. Adjacent blocks fill it from `first` to `end`, a header without a block that is never free. `end`,
 * and what precedes `first`, are overhead. */
struct region {
    char *start;
    struct block *first;
    struct block *end;
    uintptr_t grains; /* from first to end */
#if __STDC_HOSTED__
    bool holed; /* what lies between it and the next region was the heap's, which gave up the addresses */
#endif
};

/* Invariants: regions ascend and do not overlap; every block is in one; `room` bytes of all regions are in blocks, of
 * which free_bytes are free. The break is at the end of the region that grows, unless somebody else has moved it. */
struct HmmHeap {
    /* The last look-up's region: its blocks are at low + BLOCK_ALIGN * n with n < grains. */
    uintptr_t low;
    uintptr_t grains;
    struct block *end;     /* of the region that grows, if one does */
    const char *operation; /* the user's call, for faults found deeper down */
    /* The thread inside HmmWalk. WALKER_NONE: none, and the heap has hooks; 0: none, without hooks. Relaxed: only that
     * thread and the lock's holder care. */
    _Atomic uint32_t walker;
    bool locked; /* guarded by the lock */
    /* The thread that reported a fault, or 0. Then the free list is not trusted: allocations use a later region. */
    uint32_t faulty;
    struct block *cut; /* the free block that small ones are cut from, in no bin; or NULL */
    /* Counters that change together are not adjacent: gcc would use a vector, which takes more instructions. */
    size_t blocks;     /* number, including free ones */
    size_t room;       /* bytes of all blocks */
    size_t free_bytes; /* including headers */
    size_t most;       /* the most bytes neither free nor beyond the break */
    size_t free_blocks;
    /* From here on, only the heap has written to the region that grows, and the system zeroed it. The heap zeroes what
     * it wrote there. UINTPTR_MAX: no such memory. */
    uintptr_t touched;
    uintptr_t touched_before; /* before the last split */
    unsigned region_count;
    bool purged;              /* no whole page in a free block has memory */
    unsigned growing;         /* the region that grows */
    size_t trim_at;           /* the size of a last free block at which the break is lowered */
    size_t trim_min;          /* the minimum of trim_at, which rises if the break had to rise again */
    bool trimmed;             /* the break's last move was down */
    struct program_break brk; /* `move` is NULL until a break is chosen, or if there is none */
    size_t size;              /* bytes of all regions */
    size_t peak;
    size_t break_moves;
    size_t failures;
    HmmFaultHandler handler;
    struct HmmHooks hooks;
#if __STDC_HOSTED__
    uintptr_t own; /* heap_own, if HmmHeapCreate made the heap; overwritten when its memory is reused */
#endif
    /* Arrays last: small processors reach only the first members with short instructions. */
    struct region regions[HMM_REGIONS];
    struct free_list free_list;
#if HMM_QUICK_BYTES > 0
    unsigned flushed;                     /* the quick list flushed last */
    struct quick_list quick[QUICK_LISTS]; /* quick[i]: blocks of i grains */
#endif
};

#define WALKER_NONE UINT32_MAX

/* Marks the memory of a heap as still its own. */
static inline uintptr_t heap_own(const struct HmmHeap *heap) {
    return (uintptr_t)heap ^ block_secret();
}

/* Ends a list of free blocks; no block is at this address. */
static inline struct block *heap_list_end(struct HmmHeap *heap) {
    return (struct block *)(void *)heap;
}

/* A fault has been reported and the program continues, as it can on a system. */
static inline bool heap_faulty(const struct HmmHeap *heap) {
    return __STDC_HOSTED__ && heap->faulty != 0;
}

static inline bool heap_alone(const struct HmmHeap *heap) {
    return system_alone() && atomic_load_explicit(&heap->walker, memory_order_relaxed) == 0;
}

/* A fault if the calling thread is inside HmmWalk: it holds the lock and must not wait for it. */
void hmm_heap_check(struct HmmHeap *heap, const char *operation);

/* Under the lock; 0: no thread. */
void hmm_heap_set_walker(struct HmmHeap *heap, uint32_t thread);

/* The lock is taken after that check, even in a process with one thread. */
void hmm_heap_lock(struct HmmHeap *heap, const char *operation);
void hmm_heap_unlock(struct HmmHeap *heap);

/* Around everything that reads or writes the heap; heap_leave takes heap_enter's result. */
static inline bool heap_enter(struct HmmHeap *heap, const char *operation) {
    bool locked = !heap_alone(heap);
    if (UNLIKELY(locked)) {
        hmm_heap_lock(heap, operation);
    }
    heap->operation = operation;
    return locked;
}

static inline void heap_leave(struct HmmHeap *heap, bool locked) {
    if (UNLIKELY(locked)) {
        hmm_heap_unlock(heap);
    }
}

/* Whether a block can be at this address: aligned, and in a region. If not in the region found last, hmm_region_seek
 * looks there, and hmm_region_holds without making it the last. At most HMM_REGIONS or log2(HMM_REGIONS) steps. */
bool hmm_region_seek(struct HmmHeap *heap, const struct block *block);
bool hmm_region_holds(const struct HmmHeap *heap, const struct block *block);

static inline bool region_was_last(const struct HmmHeap *heap, const struct block *block) {
    return word_rotate((uintptr_t)block - heap->low, BLOCK_ALIGN_BITS) < heap->grains;
}

/* For a user's block: what follows concerns blocks near it. */
static inline bool heap_contains(struct HmmHeap *heap, const struct block *block) {
    return LIKELY(region_was_last(heap, block)) || hmm_region_seek(heap, block);
}

/* For a block's neighbours in its list, which may be anywhere. */
static inline bool heap_holds(const struct HmmHeap *heap, const struct block *block) {
    return LIKELY(region_was_last(heap, block)) || hmm_region_holds(heap, block);
}
