/*
 * notice.c - what the engine is told of the program's own system calls: the process limits itself or locks its memory;
 * the program sets something for the pages of its blocks.
 */
#include "advice.h"
#include "engine.h"
#include "heap.h"
#include "metadata.h"
#include "os/process.h"
#include "root.h"
#include "span.h"
#include "upkeep.h"
#include "window.h"

void engine_confine(void) {
    if (mems_root.options.confine == TOGGLE_OFF || !process_is_own()) {
        return;
    }
    /* What heaps keep for themselves is free then. */
    if (root_ready()) {
        upkeep_gather(heap_mine != &heap_none ? heap_mine : NULL);
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

/* In a child that shares the process's memory the pages are the same. */
void engine_advised(const void *start, size_t size) {
    uintptr_t end = (uintptr_t)start + size;
    if (mems_root.options.advice == TOGGLE_ON && root_ready() && end > window.base &&
        (uintptr_t)start < window.base + window.units_area.size) {
        advice_note(start, size);
    }
}
