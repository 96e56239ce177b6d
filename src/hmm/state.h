/*
 * state.h - all that the heap knows beside its blocks, who may touch it, and when.
 *
 * There is one heap. It is guarded by one lock, which a process with a single thread need not take: heap_enter() and
 * heap_leave() are around everything but what a comment says is done without.
 */
#ifndef MEMS_HMM_STATE_H
#define MEMS_HMM_STATE_H

#include <stdatomic.h>

#include "base/bits.h"
#include "base/compiler.h"
#include "block.h"
#include "hmm.h"
#include "program_break.h"
#include "system.h"

/* Blocks up to QUICK_SIZE_MAX bytes have a quick list for each size. It takes none once it holds QUICK_BYTES. */
#define QUICK_SIZE_MAX ((size_t)1040)
#define QUICK_REQUEST_MAX (QUICK_SIZE_MAX - BLOCK_HEADER)
#define QUICK_LISTS (QUICK_SIZE_MAX / BLOCK_ALIGN + 1)
#define QUICK_BYTES 4096u

struct quick_list {
    struct block *head; /* NULL: empty */
    uint16_t bytes;     /* of all its blocks */
};

/*
 * A piece of memory without gaps, which begins with this record. Between the record and `end`, a header without a block
 * that is never free, blocks lie side by side. The record and `end` are overhead.
 */
struct region {
    struct region *next; /* begun later; it lies higher */
    char *start;         /* where the break was when the region began: up to 15 bytes before the record */
    struct block *end;
};

/*
 * Invariants: every block lies in a region; every user's block has its payload at low + 16 * n with n < grains. The
 * break is at the end of the last region, unless somebody else has moved it.
 */
struct heap {
    uintptr_t low;         /* the lowest payload there can be */
    uintptr_t grains;      /* how far, in grains, the highest can lie above it; 0: no memory yet */
    struct block *end;     /* last->end */
    uintptr_t fresh;       /* where the break was raised from last; the heap's users have not had what lies above */
    size_t trim_at;        /* a last free block of so many bytes makes the break go down */
    size_t trim_min;       /* the least trim_at; it grows where the break went down for nothing */
    bool trimmed;          /* the break's last move was down */
    const char *operation; /* what the user has called, for fault reports from below */
    struct quick_list quick[QUICK_LISTS]; /* quick[i]: blocks of i grains */
    struct bins free_list;
    struct block *cut; /* the free block that small ones are cut from, which is not in a bin; NULL: none */
    struct region *first;
    struct region *last;
    struct program_break brk; /* without `move`: none has been chosen yet */
    size_t size;              /* bytes of all regions */
    size_t peak;
    uint64_t break_moves;
    uint64_t failures;
    HmmFaultHandler handler;
    /* The thread that is inside HmmWalk; 0: none. Relaxed: it matters only to that thread, and to the holder of the
     * lock. */
    _Atomic uint32_t walker;
};
extern struct heap hmm_heap __attribute__((visibility("hidden")));

/* Whether the caller may do without the lock. */
static inline bool heap_alone(void) {
    return system_alone() && atomic_load_explicit(&hmm_heap.walker, memory_order_relaxed) == 0;
}

/* A thread that is inside HmmWalk has the lock already, and must not wait for it: a fault. */
void hmm_heap_check(const char *operation);

/* Takes the lock after that check, even in a process with one thread. */
void hmm_heap_lock(const char *operation);

/* Around everything that reads or writes the heap; heap_leave is told what heap_enter returned. */
static inline bool heap_enter(const char *operation) {
    bool locked = !heap_alone();
    if (UNLIKELY(locked)) {
        hmm_heap_lock(operation);
    }
    hmm_heap.operation = operation;
    return locked;
}

static inline void heap_leave(bool locked) {
    if (UNLIKELY(locked)) {
        hmm_system_unlock();
    }
}

/* Whether a block can have its payload here: it is aligned, and not outside of all regions. */
static inline bool heap_spans(const void *payload) {
    return rotate_right((uint64_t)((uintptr_t)payload - hmm_heap.low), 4) < hmm_heap.grains;
}

#endif
