/* advice.c - the program's own madvise, mlock and mprotect on pages of its blocks. Their effects stay with the
 * addresses until these are mapped anew: a later user would have unwanted huge pages, memory that a forked child does
 * not get, or pages that fault. So spans with advised blocks are marked, and mapped anew when they are freed
 * (span_give_advised); a slot's, with its whole slab. */
#include "engine/engine.h"
#include "engine/memory/huge.h"
#include "engine/memory/large.h"
#include "engine/root/root.h"
#include "engine/slabs/slab.h"
#include "engine/tables/window.h"

/* Marks the spans of the window that overlap these bytes. Huge blocks need none of this: a mapping that is unmapped
 * takes its advice along (huge_advised). Without the lock, only for pages of the caller's blocks, whose spans stay. */
static RACY_READER void mark_spans(const void *start, size_t size) {
    const uintptr_t end = (uintptr_t)start + size;
    uintptr_t at = (uintptr_t)start > window.base ? (uintptr_t)start : window.base;
    size_t units = 1;
    for (size_t unit = (at - window.base) >> UNIT_SHIFT; unit < spans.top; unit += units) {
        if ((uintptr_t)window_address(unit) >= end) {
            break;
        }
        uint32_t entry = page_map_load(unit);
        struct span *span = window.spans[unit];
        units = 1;
        if (entry_is_slab(entry)) {
            atomic_store_explicit(&CONTAINER_OF(span, struct slab, span)->advised, true, memory_order_relaxed);
            units = span->first + span->units - unit;
        } else if (entry == UNIT_LARGE || entry == UNIT_PART) {
            atomic_store_explicit(&CONTAINER_OF(span, struct large, span)->advised, true, memory_order_relaxed);
            units = span->first + span->units - unit;
        }
    }
}

static bool ends_with_blocks(void) {
    return mems_root.options.advice == TOGGLE_ON && root_ready();
}

static bool is_in_window(const void *start, size_t size) {
    const uintptr_t end = (uintptr_t)start + size;
    return end > window.base && (uintptr_t)start < window.base + window.units_area.size;
}

/* Also in a child that shares the process's memory: its pages are the same. */
void engine_advised(const void *start, size_t size) {
    if (ends_with_blocks()) {
        huge_note_advice(start, size);
        if (is_in_window(start, size)) {
            lock_take(&spans.lock);
            mark_spans(start, size);
            lock_give(&spans.lock);
        }
    }
}

/* A huge block needs no mark: pages of different protections do not move, and are unmapped with it. */
void engine_protected(const void *start, size_t size) {
    if (ends_with_blocks() && is_in_window(start, size)) {
        const bool locked = lock_try(&spans.lock);
        mark_spans(start, size);
        if (locked) {
            lock_give(&spans.lock);
        }
    }
}
