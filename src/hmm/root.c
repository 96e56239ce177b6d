#include "root.h"

#include "mems.h"
#include "ranks.h"
#include "state.h"

static struct layout_row layout[] = {
    LAYOUT_SIZE(hmm_root),
    LAYOUT_MEMBER(hmm_root, heap),
    LAYOUT_MEMBER(hmm_root, secret),
    LAYOUT_MEMBER(hmm_root, lock.state),

    LAYOUT_SIZE(heap),
    LAYOUT_MEMBER(heap, quick),
    LAYOUT_MEMBER(heap, first),
    LAYOUT_MEMBER(heap, last),
    LAYOUT_MEMBER(heap, size),
    LAYOUT_MEMBER(heap, peak),
    LAYOUT_MEMBER(heap, break_moves),
    LAYOUT_MEMBER(heap, failures),
    LAYOUT_MEMBER(heap, brk.start),
    LAYOUT_MEMBER(heap, brk.committed),

    LAYOUT_SIZE(region),
    LAYOUT_MEMBER(region, next),
    LAYOUT_MEMBER(region, start),
    LAYOUT_MEMBER(region, end),
    LAYOUT_CONSTANT(BLOCK_USED),
    LAYOUT_CONSTANT(BLOCK_PREV_USED),
    LAYOUT_CONSTANT(BLOCK_CACHED),
    LAYOUT_CONSTANT(BLOCK_TAG_BITS),
    LAYOUT_CONSTANT(BLOCK_ALIGN),
    LAYOUT_CONSTANT(BLOCK_HEADER),
    LAYOUT_CONSTANT(BLOCK_MIN),
    {.name = ""},
};

struct hmm_root hmm_root = {
    .head = ROOT_HEAD(ROOT_HMM, MEMS_VERSION, layout, &hmm_root),
    .heap = &hmm_heap,
    .secret = &hmm_block_secret,
    .lock = LOCK_INIT(LOCK_HMM),
};

ROOT_NOTE(hmm_root, hmm_root);
