#include "root.h"

#include "mems.h"
#include "ranks.h"
#include "state.h"

static struct layout_row layout[] = {
    LAYOUT_SIZE(hmm_root),
    LAYOUT_MEMBER(hmm_root, heap),
    LAYOUT_MEMBER(hmm_root, secret),
    LAYOUT_MEMBER(hmm_root, lock.state),

    LAYOUT_SIZE(HmmHeap),
    LAYOUT_MEMBER(HmmHeap, regions),
    LAYOUT_MEMBER(HmmHeap, region_count),
    LAYOUT_MEMBER(HmmHeap, blocks),
    LAYOUT_MEMBER(HmmHeap, free_blocks),
    LAYOUT_MEMBER(HmmHeap, free_bytes),
    LAYOUT_MEMBER(HmmHeap, room),
    LAYOUT_MEMBER(HmmHeap, most),
    LAYOUT_MEMBER(HmmHeap, size),
    LAYOUT_MEMBER(HmmHeap, peak),
    LAYOUT_MEMBER(HmmHeap, break_moves),
    LAYOUT_MEMBER(HmmHeap, failures),

    LAYOUT_SIZE(region),
    LAYOUT_MEMBER(region, start),
    LAYOUT_MEMBER(region, first),
    LAYOUT_MEMBER(region, end),
    LAYOUT_CONSTANT(BLOCK_USED),
    LAYOUT_CONSTANT(BLOCK_PREV_USED),
    LAYOUT_CONSTANT(BLOCK_CACHED),
    LAYOUT_CONSTANT(HMM_SIZE_BITS),
    LAYOUT_CONSTANT(HMM_REGIONS),
    LAYOUT_CONSTANT(BLOCK_ALIGN),
    LAYOUT_CONSTANT(BLOCK_HEADER),
    LAYOUT_CONSTANT(BLOCK_MIN),
    LAYOUT_CONSTANT(BLOCK_SITE),
    {.name = ""},
};

struct hmm_root hmm_root = {
    .head = ROOT_HEAD(ROOT_HMM, MEMS_VERSION, layout, &hmm_root),
    .heap = &hmm_heap,
    .secret = &hmm_block_secret,
    .lock = LOCK_INIT(LOCK_HMM),
};

ROOT_NOTE(hmm_root, hmm_root);
