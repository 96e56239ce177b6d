#include "advice.h"

#include <stdint.h>
#include <sys/mman.h>

#include "heap_state.h"
#include "hmm_options.h"

_Atomic bool hmm_advice_given;

/* By number: not in the headers of every C library. */
#define GUARD_INSTALL 102
#define GUARD_REMOVE 103

static const struct {
    int given, back;
} kinds[] = {
    {MADV_DONTFORK, MADV_DOFORK},       {MADV_WIPEONFORK, MADV_KEEPONFORK}, {MADV_DONTDUMP, MADV_DODUMP},
    {MADV_MERGEABLE, MADV_UNMERGEABLE}, {MADV_SEQUENTIAL, MADV_NORMAL},     {MADV_RANDOM, MADV_NORMAL},
    {GUARD_INSTALL, GUARD_REMOVE},      {HMM_PROTECTED, HMM_OPENED},
};
#define KINDS (sizeof kinds / sizeof *kinds)

/* Pages with advice of one kind: start..end, none if start is 0. Relaxed: a range matters to whoever frees a block in
 * it, who has the block from whoever gave the advice. A torn range is harmless, because only the freed block's pages
 * lose advice; one that a simultaneous free overwrites leaves the advice in force, as without this file. */
struct range {
    _Atomic uintptr_t start, end;
};

/* The last range unites those that do not fit. */
#define RANGES 32
static struct range ranges[KINDS][RANGES];

static uintptr_t page_of(uintptr_t address) {
    return round_down(address, os_page_size());
}

static void put_in_last(struct range *last, uintptr_t start, uintptr_t end) {
    uintptr_t seen = atomic_load_explicit(&last->end, memory_order_relaxed);
    while (seen < end &&
           !atomic_compare_exchange_weak_explicit(&last->end, &seen, end, memory_order_relaxed, memory_order_relaxed)) {
    }
    seen = atomic_load_explicit(&last->start, memory_order_relaxed);
    while ((seen == 0 || seen > start) && !atomic_compare_exchange_weak_explicit(
                                              &last->start, &seen, start, memory_order_relaxed, memory_order_relaxed)) {
    }
}

static void put(struct range *of, uintptr_t start, uintptr_t end) {
    for (unsigned i = 0; i < RANGES - 1; i++) {
        if (atomic_load_explicit(&of[i].start, memory_order_relaxed) == start) {
            put_in_last(&of[i], start, end);
            return;
        }
    }
    for (unsigned i = 0; i < RANGES - 1; i++) {
        uintptr_t none = 0;
        if (atomic_compare_exchange_strong_explicit(&of[i].start, &none, start, memory_order_relaxed,
                                                    memory_order_relaxed)) {
            atomic_store_explicit(&of[i].end, end, memory_order_relaxed);
            return;
        }
    }
    put_in_last(&of[RANGES - 1], start, end);
}

/* Unless a page or more of the range remains at either end. */
static void forget_within(struct range *range, uintptr_t start, uintptr_t end) {
    uintptr_t from = atomic_load_explicit(&range->start, memory_order_relaxed);
    if (from + os_page_size() > start &&
        atomic_load_explicit(&range->end, memory_order_relaxed) < end + os_page_size()) {
        atomic_store_explicit(&range->end, 0, memory_order_relaxed);
        (void)atomic_compare_exchange_strong_explicit(&range->start, &from, 0, memory_order_relaxed,
                                                      memory_order_relaxed);
    }
}

static void take_back(uintptr_t start, size_t size, int back) {
    (void)(back == HMM_OPENED ? os_commit((void *)start, size) : os_advise((void *)start, size, back));
}

static void end_kind(unsigned kind, uintptr_t start, uintptr_t end) {
    for (unsigned i = 0; i < RANGES; i++) {
        struct range *range = &ranges[kind][i];
        uintptr_t from = atomic_load_explicit(&range->start, memory_order_relaxed);
        uintptr_t to = atomic_load_explicit(&range->end, memory_order_relaxed);
        from = from > start ? from : start;
        to = to < end ? to : end;
        if (atomic_load_explicit(&range->start, memory_order_relaxed) != 0 && from < to) {
            take_back(from, to - from, kinds[kind].back);
            forget_within(range, start, end);
        }
    }
}

/* Without the lock: while the heap grows, advice may be missed. */
static RACY_READER bool is_in_heap(uintptr_t start, uintptr_t end) {
    for (unsigned i = 0; i < hmm_heap.region_count && i < HMM_REGIONS; i++) {
        if (start < (uintptr_t)hmm_heap.regions[i].end && end > (uintptr_t)hmm_heap.regions[i].first) {
            return true;
        }
    }
    return false;
}

void hmm_advice_end(const struct HmmHeap *heap, struct block *block) {
    const uintptr_t start = round_up((uintptr_t)block, os_page_size());
    const uintptr_t end = page_of((uintptr_t)block_next(block));
    for (unsigned kind = 0; kind < KINDS && heap == &hmm_heap && start < end; kind++) {
        end_kind(kind, start, end);
    }
}

static void forget_kind(unsigned kind, uintptr_t start, uintptr_t end) {
    for (unsigned i = 0; i < RANGES; i++) {
        forget_within(&ranges[kind][i], start, end);
    }
}

void hmm_advised(const void *memory, size_t size, int advice) {
    const uintptr_t start = page_of((uintptr_t)memory);
    const uintptr_t end = round_up((uintptr_t)memory + size, os_page_size());
    if (!is_in_heap(start, end) || !hmm_ends_advice()) {
        return;
    }
    for (unsigned kind = 0; kind < KINDS; kind++) {
        if (advice == kinds[kind].given) {
            put(ranges[kind], start, end);
            atomic_store_explicit(&hmm_advice_given, true, memory_order_relaxed);
        } else if (advice == kinds[kind].back) {
            forget_kind(kind, start, end);
        }
    }
}
