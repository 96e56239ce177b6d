/*
 * state.h - all that a heap knows beside its blocks, who may touch it, and when.
 *
 * A heap is guarded by a lock: that of its hooks, or one that all heaps without hooks share, which a process with a
 * single thread need not take. heap_enter() and heap_leave() are around everything but what a comment says is done
 * without.
 */
#ifndef MEMS_HMM_STATE_H
#define MEMS_HMM_STATE_H

#include <stdatomic.h>

#include "base/bits.h"
#include "base/compiler.h"
#include "block.h"
#include "heap.h"
#include "hmm.h"
#include "program_break.h"
#include "system.h"

/* Blocks up to QUICK_SIZE_MAX bytes have a quick list for each size. It takes none once it holds HMM_QUICK_BYTES. */
#define QUICK_SIZE_MAX (65 * BLOCK_ALIGN)
#define QUICK_REQUEST_MAX (QUICK_SIZE_MAX - BLOCK_HEADER - BLOCK_SITE)
#define QUICK_LISTS (QUICK_SIZE_MAX / BLOCK_ALIGN + 1)

struct quick_list {
    struct block *head; /* NULL: empty. Proved: it was pushed here, or a link that agrees with its check led to it */
    uint32_t waiting;   /* its blocks' number and bytes: n * QUICK_ONE + bytes */
};
#define QUICK_ONE (UINT32_C(1) << 16)
_Static_assert(HMM_QUICK_BYTES + QUICK_SIZE_MAX < QUICK_ONE, "a quick list's bytes leave room for its number");

/*
 * The free list: bins by size, on two levels, as in TLSF (Masmano, Ripoll, Crespo, Real: "TLSF: a New Dynamic Memory
 * Allocator for Real-Time Systems", 2004). Sizes are counted in grains. Below FREE_STEPS each has a bin; above, each
 * power of two is a level, divided into FREE_STEPS bins of equal width. A bin is a list of blocks. It has an end that
 * is not NULL, so that a link of zeroes is none.
 *
 * Invariants: bit s of steps[l] is set iff heads[l * FREE_STEPS + s] is not NULL; bit l of levels, iff steps[l] is not
 * 0.
 */
#define FREE_STEP_BITS 4u
#define FREE_STEPS (1u << FREE_STEP_BITS)
#define FREE_LEVELS_ALL (HMM_SIZE_BITS - BLOCK_ALIGN_BITS - FREE_STEP_BITS + 1)
#define FREE_LEVELS (FREE_LEVELS_ALL < 32 ? FREE_LEVELS_ALL : 32)
#define FREE_BINS (FREE_LEVELS * FREE_STEPS)

struct free_list {
    struct block *heads[FREE_BINS];
    uint16_t steps[FREE_LEVELS];
    uint32_t levels;
#if __STDC_HOSTED__
    struct hmm_row rows[HMM_ROWS]; /* what is in the bins */
#endif
};

/*
 * A piece of memory without gaps. Blocks lie side by side from `first` to `end`, a header without a block that is never
 * free. What is before `first`, and `end`, are overhead.
 */
struct region {
    char *start;
    struct block *first;
    struct block *end;
};

/*
 * Invariants: regions do not overlap and are in order of address. Every block lies in one. Of all bytes of regions
 * `room` are blocks', and of these free_bytes are free. The break is at the end of the region that grows, unless
 * somebody else has moved it.
 */
struct HmmHeap {
    /* The region that was looked for last: payloads in it are low + BLOCK_ALIGN * n with n < grains. */
    uintptr_t low;
    uintptr_t grains;
    struct block *end;     /* of the region that grows; NULL: none does */
    const char *operation; /* what the user has called, for fault reports from below */
    /* The thread that is inside HmmWalk; WALKER_NONE: nobody, and there are hooks; 0: nobody, and there are none.
     * Relaxed: it matters only to that thread, and to the holder of the lock. */
    _Atomic uint32_t walker;
    bool locked; /* guarded by the lock: it is held */
    /* The thread that has reported a fault; 0: none. The free list is not to be trusted then: allocations come from a
     * region that has begun since. */
    uint32_t faulty;
#if HMM_QUICK_BYTES > 0
    struct quick_list quick[QUICK_LISTS]; /* quick[i]: blocks of i grains */
    unsigned flushed;                     /* the list that was flushed last */
#endif
    struct block *cut; /* the free block that small ones are cut from, which is not in a bin; NULL: none */
    struct free_list free_list;
    size_t blocks; /* number, the free ones included */
    size_t free_blocks;
    size_t free_bytes; /* headers included */
    size_t room;       /* bytes of all blocks */
    size_t most;       /* the most that was neither free nor beyond the break */
    /* In the region that grows: nobody but the heap has written at or above this address, and the system has made it
     * zero. What the heap writes there it overwrites with zeroes. UINTPTR_MAX: no such memory. */
    uintptr_t touched;
    uintptr_t touched_before; /* the last split */
    struct region regions[HMM_REGIONS];
    unsigned region_count;
    bool purged;      /* all whole pages in free blocks have been given back since one was last made or changed */
    unsigned growing; /* the region that grows, if any */
    size_t trim_at;   /* a last free block of so many bytes makes the break go down */
    size_t trim_min;  /* the least trim_at; it grows where the break went down for nothing */
    bool trimmed;     /* the break's last move was down */
    struct program_break brk; /* without `move`: none has been chosen yet, or there is none */
    size_t size;              /* bytes of all regions */
    size_t peak;
    size_t break_moves;
    size_t failures;
    HmmFaultHandler handler;
    struct HmmHooks hooks;
};

#define WALKER_NONE UINT32_MAX

/* What a list of free blocks ends in: an address of no block. */
static inline struct block *heap_list_end(struct HmmHeap *heap) {
    return (struct block *)(void *)heap;
}

/* Whether a fault has been reported, and the program goes on: as it may where there is a system. */
static inline bool heap_faulty(const struct HmmHeap *heap) {
    return __STDC_HOSTED__ && heap->faulty != 0;
}

/* Whether the caller may do without the lock. */
static inline bool heap_alone(const struct HmmHeap *heap) {
    return system_alone() && atomic_load_explicit(&heap->walker, memory_order_relaxed) == 0;
}

/* A thread that is inside HmmWalk has the lock already, and must not wait for it: a fault. */
void hmm_heap_check(struct HmmHeap *heap, const char *operation);

/* With the lock: this thread is inside HmmWalk; 0: no longer. */
void hmm_heap_set_walker(struct HmmHeap *heap, uint32_t thread);

/* Takes the lock after that check, even in a process with one thread; gives it back. */
void hmm_heap_lock(struct HmmHeap *heap, const char *operation);
void hmm_heap_unlock(struct HmmHeap *heap);

/* Around everything that reads or writes the heap; heap_leave is told what heap_enter returned. */
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

/* Whether a payload can lie here, and looks for its region where it is not the one that was looked for last. */
bool hmm_heap_seek(struct HmmHeap *heap, const void *payload);

/* Whether a block can have its payload here: it is aligned, and in a region. At most log2(HMM_REGIONS) steps. */
static inline bool heap_contains(struct HmmHeap *heap, const void *payload) {
    return LIKELY(word_rotate((uintptr_t)payload - heap->low, BLOCK_ALIGN_BITS) < heap->grains) ||
           hmm_heap_seek(heap, payload);
}

#endif
