#include "hmm_root.h"

#include "heap_state.h"
#include "mems.h"
#include "ranks.h"

#if HMM_QUICK_BYTES > 0
#define HMM_QUICK_ROWS(STRUCTURE, CONSTANT) \
    STRUCTURE(HmmHeap, quick)               \
    STRUCTURE(quick_list, head, waiting) CONSTANT(QUICK_LISTS) CONSTANT(QUICK_ONE) CONSTANT(BLOCK_CHECK_TURN)
#else
#define HMM_QUICK_ROWS(STRUCTURE, CONSTANT)
#endif

/* clang-format off */
#define HMM_LAYOUT(STRUCTURE, CONSTANT)                                                                                \
    STRUCTURE(hmm_root, heap, secret, lock.state, made)                                                                \
    STRUCTURE(HmmHeap, regions, region_count, blocks, free_blocks, free_bytes, room, own, cut, free_list.heads,        \
        free_list.steps, free_list.levels)                                                                             \
    HMM_QUICK_ROWS(STRUCTURE, CONSTANT)                                                                                \
    STRUCTURE(block, next, prev, link, check)                                                                          \
    STRUCTURE(region, start, first, end)                                                                               \
    CONSTANT(BLOCK_USED) CONSTANT(BLOCK_PREV_USED) CONSTANT(BLOCK_CACHED) CONSTANT(HMM_SIZE_BITS)                      \
    CONSTANT(BLOCK_ALIGN) CONSTANT(BLOCK_HEADER) CONSTANT(BLOCK_MIN) CONSTANT(BLOCK_SITE)                              \
    CONSTANT(FREE_BINS) CONSTANT(FREE_STEPS)
/* clang-format on */

LAYOUT_DEFINE(hmm_layout, HMM_LAYOUT);

struct hmm_root hmm_root = {
    .head = ROOT_HEAD(ROOT_HMM, MEMS_VERSION, &hmm_layout, &hmm_root),
    .heap = &hmm_heap,
    .secret = &hmm_block_secret,
    .lock = LOCK_INIT(LOCK_HMM),
};

ROOT_NOTE(hmm_root, hmm_root);
