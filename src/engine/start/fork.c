#include "fork.h"

#include "engine/heaps/hardened_heap.h"
#include "engine/heaps/heap.h"
#include "engine/heaps/sample_points.h"
#include "engine/heaps/thread.h"
#include "engine/memory/huge.h"
#include "engine/memory/span.h"
#include "engine/modes/background.h"
#include "engine/modes/harden.h"
#include "engine/modes/sweep.h"
#include "engine/reports/heap_limit.h"
#include "engine/root/root.h"
#include "engine/samples/sample.h"
#include "engine/slabs/abandoned.h"
#include "engine/tables/metadata.h"

/* Heaps whose locks are held. Read before the table's lock is released: afterwards others may be made or locked. */
static uint32_t locked_heaps;

void fork_each_lock(void (*act)(struct lock *lock)) {
    const bool takes = act == lock_take_shared;
    uint32_t count = takes ? 0 : locked_heaps;
    if (takes) {
        act(&mems_root.lock);
    }
    act(&heaps.lock);
    if (takes) {
        count = locked_heaps = heaps_made();
    }
    for (uint32_t id = 1; id <= count; id++) {
        act(&heap_of(id)->lock);
    }
    for (unsigned size_class = 0; size_class < SIZE_CLASSES; size_class++) {
        act(&abandoned[size_class].lock);
    }
    act(&huge_table.lock);
    act(&samples.lock);
    act(&spans.lock);
    act(&metadata.lock);
    if (!takes) {
        act(&mems_root.lock); /* last, because whoever has it may start the engine, which initialises the others */
    }
}

void fork_recover(bool alone) {
    background_recover();
    if (!root_ready()) {
        return;
    }
    spans_forked();
    sample_points_fork(heap_mine);
    hardened_fork(heap_mine);
    heap_limit_recover();
    if (!alone) {
        metadata_recover();
        spans_recover();
        harden_recover();
        sweep_stop();
        threads_recover();
        samples_recover();
    }
}
