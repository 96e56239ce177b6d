#include "hmm_root.h"

#include "heap_state.h"
#include "mems.h"
#include "ranks.h"

#if HMM_QUICK_BYTES > 0
#define HMM_QUICK_ROWS(STRUCTURE, MEMBER, CONSTANT) \
    STRUCTURE(HmmHeap)                              \
    MEMBER(HmmHeap, quick)                          \
    STRUCTURE(quick_list)                           \
    MEMBER(quick_list, head)                        \
    MEMBER(quick_list, waiting)                     \
    CONSTANT(QUICK_LISTS)                           \
    CONSTANT(QUICK_ONE)
#else
#define HMM_QUICK_ROWS(STRUCTURE, MEMBER, CONSTANT)
#endif

#define HMM_LAYOUT(STRUCTURE, MEMBER, CONSTANT) \
    STRUCTURE(hmm_root)                         \
    MEMBER(hmm_root, heap)                      \
    MEMBER(hmm_root, secret)                    \
    MEMBER(hmm_root, lock.state)                \
    MEMBER(hmm_root, made)                      \
    STRUCTURE(HmmHeap)                          \
    MEMBER(HmmHeap, regions)                    \
    MEMBER(HmmHeap, region_count)               \
    MEMBER(HmmHeap, blocks)                     \
    MEMBER(HmmHeap, free_blocks)                \
    MEMBER(HmmHeap, free_bytes)                 \
    MEMBER(HmmHeap, room)                       \
    MEMBER(HmmHeap, most)                       \
    MEMBER(HmmHeap, size)                       \
    MEMBER(HmmHeap, peak)                       \
    MEMBER(HmmHeap, break_moves)                \
    MEMBER(HmmHeap, failures)                   \
    MEMBER(HmmHeap, own)                        \
    MEMBER(HmmHeap, cut)                        \
    MEMBER(HmmHeap, free_list.heads)            \
    MEMBER(HmmHeap, free_list.steps)            \
    MEMBER(HmmHeap, free_list.levels)           \
    HMM_QUICK_ROWS(STRUCTURE, MEMBER, CONSTANT) \
    STRUCTURE(block)                            \
    MEMBER(block, next)                         \
    MEMBER(block, prev)                         \
    MEMBER(block, link)                         \
    MEMBER(block, check)                        \
    STRUCTURE(region)                           \
    MEMBER(region, start)                       \
    MEMBER(region, first)                       \
    MEMBER(region, end)                         \
    CONSTANT(BLOCK_USED)                        \
    CONSTANT(BLOCK_PREV_USED)                   \
    CONSTANT(BLOCK_CACHED)                      \
    CONSTANT(HMM_SIZE_BITS)                     \
    CONSTANT(HMM_REGIONS)                       \
    CONSTANT(BLOCK_ALIGN)                       \
    CONSTANT(BLOCK_HEADER)                      \
    CONSTANT(BLOCK_MIN)                         \
    CONSTANT(BLOCK_SITE)                        \
    CONSTANT(FREE_BINS)                         \
    CONSTANT(FREE_STEPS)

LAYOUT_DEFINE(hmm_layout, HMM_LAYOUT);

struct hmm_root hmm_root = {
    .head = ROOT_HEAD(ROOT_HMM, MEMS_VERSION, &hmm_layout, &hmm_root),
    .heap = &hmm_heap,
    .secret = &hmm_block_secret,
    .lock = LOCK_INIT(LOCK_HMM),
};

ROOT_NOTE(hmm_root, hmm_root);
