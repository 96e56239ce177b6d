#include "fork.h"

#include "abandoned.h"
#include "background.h"
#include "heap.h"
#include "huge.h"
#include "limit.h"
#include "metadata.h"
#include "root.h"
#include "span.h"
#include "thread.h"

/* Heaps whose locks are taken. Read before the lock of the table is given back: then others may be made, or locked. */
static uint32_t locked_heaps;

void fork_each_lock(void (*act)(struct lock *lock)) {
    const bool takes = act == lock_take_shared;
    uint32_t count = takes ? 0 : locked_heaps;
    act(&mems_root.lock);
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
    act(&spans.lock);
    act(&metadata.lock);
}

void fork_recover(bool alone) {
    background_recover();
    if (!root_ready()) {
        return;
    }
    spans_forked();
    limit_recover();
    if (!alone) {
        metadata_recover();
        spans_recover();
        threads_recover();
    }
}
