/*
 * confine.c - a process that limits itself.
 */
#include "engine.h"
#include "heap.h"
#include "metadata.h"
#include "os/process.h"
#include "root.h"
#include "span.h"
#include "window.h"

void engine_confine(void) {
    if (mems_root.options.confine == TOGGLE_OFF || !process_is_own()) {
        return;
    }
    /* The start waits: it looks for limits itself, but does not see a lock on memory to come. */
    lock_take(&mems_root.lock);
    lock_take(&heaps.lock);
    lock_take(&spans.lock);
    lock_take(&metadata.lock);
    window_confine();
    lock_give(&metadata.lock);
    lock_give(&spans.lock);
    lock_give(&heaps.lock);
    if (root_ready()) {
        spans_unmap();
    }
    lock_give(&mems_root.lock);
}
