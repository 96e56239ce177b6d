#include "fork.h"

#include "heap.h"
#include "huge.h"
#include "metadata.h"
#include "orphan.h"
#include "parcel.h"
#include "root.h"
#include "span.h"

void fork_each_lock(void (*act)(struct lock *lock)) {
    act(&mems_root.lock);
    act(&registry.lock);
    for (unsigned size_class = 0; size_class < SIZE_CLASSES; size_class++) {
        act(&orphans[size_class].lock);
    }
    act(&huge_table.lock);
    act(&spans.lock);
    act(&metadata.lock);
    act(&parcel_pool.lock);
}

void fork_recover(bool alone) {
    if (!alone && root_ready()) {
        spans_recover();
        heaps_recover();
    }
}
