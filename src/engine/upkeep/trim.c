#include "trim.h"

#include <limits.h>

#include "before_growth.h"
#include "engine/heaps/cached_blocks.h"
#include "engine/heaps/hardened_larges.h"
#include "engine/heaps/heap.h"
#include "engine/heaps/magazine_budget.h"
#include "engine/heaps/remote.h"
#include "engine/heaps/unused_heaps.h"
#include "engine/memory/huge.h"
#include "engine/memory/span.h"
#include "engine/samples/sample.h"
#include "engine/slabs/abandoned.h"
#include "engine/tables/holding.h"
#include "engine/tables/metadata.h"
#include "idle.h"
#include "os/os.h"
#include "page_purge.h"

/* Memory is short if, for this percentage of the last ten seconds, some thread on the machine waited for memory. */
#define PRESSURE_HIGH 10u

static void flush_own(struct heap *heap) {
    lock_take(&heap->lock);
    cached_flush(heap);
    hardened_give_larges(heap);
    inbox_collect(heap, SIZE_MAX, true);
    heap_drop_empty(heap, UINT_MAX);
    upkeep_flush_later(heap);
    lock_give(&heap->lock);
}

/* Meanwhile threads of other heaps that take a slow path wait for their locks. */
static void reclaim_all(struct heap *mine) {
    larges_cut_headroom();
    huge_give_addresses();
    if (mine != NULL) {
        flush_own(mine);
    }
    uint32_t made = heaps_made();
    for (uint32_t id = 1; id <= made; id++) {
        struct heap *heap = heap_of(id);
        if (heap != mine) {
            lock_take(&heap->lock);
            idle_reclaim(heap, SIZE_MAX);
            hardened_give_larges(heap);
            lock_give(&heap->lock);
        }
    }
    abandoned_drop_empty();
}

/* Purges too if memory or addresses are limited, because the dirty units may be just what is needed. */
void upkeep_reclaim_all(struct heap *mine) {
    reclaim_all(mine);
    samples_reclaim();
    if (holding_limited() || window_is_claimed()) {
        (void)span_purge_all();
    }
}

size_t upkeep_trim(struct heap *mine) {
    magazine_budget_ask_limit();
    reclaim_all(mine);
    size_t given = page_purge_all() * OS_PAGE;
    (void)samples_trim();
    given += span_purge_all();
    if (window_is_claimed()) {
        spans_unmap(); /* the window's end, with its tables */
    }
    spans_trim_descriptors();
    given += unused_heaps_bare(SIZE_MAX);
    return given + metadata_trim();
}

void upkeep_ask(void) {
    magazine_budget_ask_limit();
    if (os_memory_pressure() >= PRESSURE_HIGH) {
        upkeep_trim(NULL);
    }
}
