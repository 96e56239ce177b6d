#include "advice.h"

#include "engine/memory/large.h"
#include "slab.h"

/* Huge blocks need none of this: a mapping that is unmapped takes its advice along (huge_advised). */
void advice_note(const void *start, size_t size) {
    const uintptr_t end = (uintptr_t)start + size;
    lock_take(&spans.lock);
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
    lock_give(&spans.lock);
}
