#include "fork.h"

#include "abandoned.h"
#include "heap.h"
#include "huge.h"
#include "metadata.h"
#include "root.h"
#include "span.h"
#include "thread.h"

/* Heaps whose locks are taken: others may be made as soon as the lock of the table is given back. */
static uint32_t locked_heaps;

void fork_each_lock(void (*act)(struct lock *lock)) {
    act(&mems_root.lock);
    act(&heaps.lock);
    if (act == lock_take) {
        locked_heaps = atomic_load_explicit(&heaps.made, memory_order_relaxed);
    }
    for (uint32_t id = 1; id <= locked_heaps; id++) {
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
    if (!alone && root_ready()) {
        spans_recover();
        threads_recover();
    }
}
