#include "account/account.h"
#include "support/support.h"
#include "target/residency.h"
#include "walk/engine_huge.h"
#include "walk/hmm.h"

struct counting {
    struct account *account;
    struct residency residency;
    uint64_t region;
    bool started;
    uint64_t first, end; /* between which the process's own heap lies */
    bool own_done;
};

static bool count_block(const struct hmm_block *block, void *context) {
    static const enum account_row rows[] = {
        [HMM_USED] = ROW_HMM_LIVE, [HMM_CACHED] = ROW_HMM_CACHED, [HMM_FREE] = ROW_HMM_FREE};
    struct counting *counting = context;
    if (!counting->own_done) {
        counting->first = smaller(counting->first, block->region);
        counting->end = larger(counting->end, block->end);
    }
    if (!counting->started || counting->region != block->region) {
        if (counting->started) {
            residency_end(&counting->residency);
        }
        residency_start(&counting->residency, counting->account->target, block->region, UINT64_MAX);
        counting->region = block->region;
        counting->started = true;
        account_part(counting->account, &counting->residency, ROW_HMM_OVERHEAD, block->region,
                     block->payload - block->header);
    }
    account_part(counting->account, &counting->residency, ROW_HMM_OVERHEAD, block->payload - block->header,
                 block->payload);
    account_part(counting->account, &counting->residency, rows[block->state], block->payload,
                 block->payload + block->room);
    uint64_t behind = block->payload + block->room;
    uint64_t next = behind + block->site;
    account_part(counting->account, &counting->residency, ROW_HMM_OVERHEAD, behind,
                 next == block->end ? next + block->header : next);
    return true;
}

/* A heap in a block of the engine, or of the process's own HMM heap, is counted there. */
static bool is_counted(const struct engine *engine, uint64_t heap, const struct counting *counting) {
    return (heap >= counting->first && heap < counting->end) ||
           (engine != NULL && engine_holds((struct engine *)(uintptr_t)engine, heap));
}

void account_hmm(struct account *account, struct layouts *layouts, const struct engine *engine) {
    struct layout *layout = layouts_of(layouts, ROOT_HMM);
    struct counting counting = {.account = account, .first = UINT64_MAX};
    uint64_t heaps[HMM_HEAPS_MAX];
    const size_t count = layout != NULL ? hmm_heaps(account->target, layout, heaps) : 0;
    for (size_t i = 0; i < count && account->hmm_trouble == NULL; i++) {
        if (i == 0 || !is_counted(engine, heaps[i], &counting)) {
            account->hmm_trouble =
                hmm_walk_heap(account->target, layout, heaps[i], count_block, &counting, &account->hmm_where);
        }
        counting.own_done = true;
    }
    if (counting.started) {
        residency_end(&counting.residency);
    }
}
