#include "span_claim.h"

#include <errno.h>

#include "base/fault.h"
#include "engine/tables/holding.h"
#include "engine/tables/metadata.h"
#include "engine/tables/page_map.h"
#include "huge_pages.h"
#include "span.h"
#include "span_age.h"

struct free_span *span_claim_top(size_t end) {
    ASSERT(end > spans.top);
    if (end > window.units_reserved) {
        return NULL;
    }
    if (end << UNIT_SHIFT > window.units_area.accessible) {
        metadata_reserve(window_ahead(end));
    }
    const size_t ample = huge_pages_are_on() ? huge_pages_top(end) : end;
    if (ample > end && ample <= window.units_reserved && window_reach(ample) == 0) {
        end = ample;
    } else if (window_reach(end)) {
        return NULL;
    }
    size_t first = spans.top;
    page_map_fill(first, end - first, UNIT_FRESH);
    spans.top = end;
    spans_release(first, end - first, 0, 0, false);
    return spans_free_before(end);
}

bool span_claim_beyond(size_t units) {
    size_t end = window.units_area.accessible >> UNIT_SHIFT;
    if (!spans_descriptors_suffice() || (end > spans.top && span_claim_top(end) == NULL) || window_skip(units)) {
        return false;
    }
    page_map_fill(end, units, UNIT_LOST);
    spans.top = end + units;
    spans.lost_units += units;
    spans.lost_spans++;
    spans.taken++;
    return true;
}

/* The number of units from `unit` on, up to `end`, that are all unmapped, or all mapped. */
static size_t run_of(size_t unit, size_t end, bool unmapped) {
    size_t at = unit;
    while (at < end && (page_map_load(at) == UNIT_UNMAPPED) == unmapped) {
        at++;
    }
    return at - unit;
}

/* Takes a unit of a free span out of use, because another mapping lies there. */
static void lose_free(struct free_span *free, size_t unit) {
    if (!spans_descriptors_suffice()) {
        return;
    }
    spans_carve(free, unit, 1);
    page_map_store(unit, UNIT_LOST);
    spans.unmapped_units--;
    spans.lost_units++;
    spans.lost_spans++;
    spans.taken++;
}

int span_claim(struct free_span *free, size_t first, size_t units) {
    const size_t end = first + units;
    for (size_t at = first; spans.unmapped_units != 0 && at < end;) {
        size_t run = run_of(at, end, true);
        int error = run != 0 ? window_map(at, run) : 0;
        while (error == EEXIST && run > 1) {
            run /= 2;
            error = window_map(at, run);
        }
        if (error == EEXIST) {
            lose_free(free, at);
        }
        if (error != 0) {
            return error;
        }
        page_map_fill(at, run, UNIT_FRESH);
        spans.unmapped_units -= run;
        at += run;
        at += run_of(at, end, false);
    }
    return 0;
}

/* Unmaps a free span, because mapped memory may be locked. */
static void unmap_free(struct free_span *free) {
    const size_t first = free->span.first;
    const size_t units = free->span.units;
    spans_lift(free);
    for (size_t at = first, run; at < first + units; at += run) {
        run = run_of(at, first + units, false);
        if (run > spans.top / UNMAP_SHARE && window_unmap(at, run)) {
            holding_give(page_map_count(at, run, UNIT_DIRTY) << UNIT_SHIFT);
            page_map_fill(at, run, UNIT_UNMAPPED);
            spans.unmapped_units += run;
        }
        run += run_of(at + run, first + units, true);
    }
    spans_settle(free, first, units, page_map_count(first, units, UNIT_DIRTY), first + units);
}

/* Free, unmapped units at the top were never used, so they need no tables either. */
static void lower_top(void) {
    struct free_span *last = spans_free_before(spans.top);
    if (last == NULL || page_map_count(last->span.first, last->span.units, UNIT_UNMAPPED) != last->span.units) {
        return;
    }
    spans_lift(last);
    page_map_fill(last->span.first, last->span.units, UNIT_UNUSED);
    spans.unmapped_units -= last->span.units;
    spans.top = last->span.first;
    window_retreat(spans.top);
    metadata_retreat(spans.top);
    spans_discard(last);
}

void spans_unmap(void) {
    lock_take(&spans.lock);
    size_t end = window.units_area.accessible >> UNIT_SHIFT;
    if (end > spans.top && spans_descriptors_suffice()) {
        span_claim_top(end);
    }
    const bool unmaps = window_is_claimed() && !atomic_load_explicit(&spans.keeps_mapped, memory_order_relaxed);
    for (size_t unit = 0; unmaps && unit < spans.top; unit++) {
        struct free_span *free = spans_free_from(unit);
        if (free != NULL) {
            unmap_free(free);
            unit += free->span.units;
        }
    }
    lower_top();
    spans_set_due();
    lock_give(&spans.lock);
}
