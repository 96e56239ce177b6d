#include "span.h"

#include <errno.h>

#include "base/bits.h"
#include "engine/tables/holding.h"
#include "engine/tables/page_map.h"
#include "huge_pages.h"
#include "os/os.h"
#include "span_age.h"
#include "span_claim.h"

/* If another mapping lies at the end of the window, this many units are skipped, then twice as many, and so on. */
#define PASSED_MIN ((size_t)16)

/* How many spans of about the right size are tried for one that is aligned. */
#define ALIGNED_TRIES 16u

/* The first unit at or after `unit` whose address is a multiple of `align` units. */
static size_t aligned_unit(size_t unit, size_t align) {
    size_t base = window.base >> UNIT_SHIFT;
    return round_up(base + unit, align) - base;
}

/* From one index: one of the first few that are long enough, if it has room for aligned units; else one that is long
 * enough for any alignment. */
static struct free_span *find_in(const struct free_span_index *index, size_t units, size_t align) {
    struct free_span *free = free_span_find(index, units);
    for (unsigned tries = 0; free != NULL && tries < ALIGNED_TRIES; tries++) {
        if (aligned_unit(free->span.first, align) + units <= (size_t)free->span.first + free->span.units) {
            return free;
        }
        const struct tree_node *next = tree_next(&free->node);
        free = next != NULL ? CONTAINER_OF(next, struct free_span, node) : NULL;
    }
    return align > 1 ? free_span_find(index, units + align - 1) : NULL;
}

static struct free_span *find_free(size_t units, size_t align) {
    struct free_span *free = find_in(&spans.dirty, units, align);
    free = free != NULL ? free : find_in(&spans.fresh, units, align);
    if (free != NULL) {
        return free;
    }
    /* The free span at the top may fit as it is, or with units above it; if another mapping is in the way, beyond
     * that. */
    for (size_t passed = PASSED_MIN;; passed *= 2) {
        struct free_span *last = spans_free_before(spans.top);
        size_t end = aligned_unit(last != NULL ? last->span.first : spans.top, align) + units;
        if (end <= spans.top) {
            return last;
        }
        free = span_claim_top(end);
        if (free != NULL || end > window.units_reserved || window_reach(end) != EEXIST || !span_claim_beyond(passed)) {
            return free;
        }
    }
}

/* Points units at their new user. */
static void settle(struct span *span, size_t first, size_t units, uint32_t entry) {
    for (size_t unit = first; unit < first + units; unit++) {
        window.spans[unit] = span;
    }
    page_map_fill(first, units, entry);
    spans.live_units += units;
    spans.peak = max_size(spans.peak, spans.live_units);
}

/* Takes a span from the start of a free one. Returns whether it reads as zero. */
static bool take_from(struct free_span *free, struct span *span, size_t units, size_t align, uint32_t entry) {
    size_t first = aligned_unit(free->span.first, align);
    bool zero = spans_carve(free, first, units);
    span->first = (uint32_t)first;
    span->units = (uint32_t)units;
    settle(span, first, units, entry);
    spans.taken++;
    return zero;
}

/* Counts the memory that a free span's units will newly hold. False if that would exceed the limit. */
static bool charge(const struct free_span *free, size_t first, size_t units) {
    const size_t clean = units - spans_dirty_within(free, first, units);
    if (!holding_take(clean << UNIT_SHIFT)) {
        return false;
    }
    spans_note_taken(units - clean, clean);
    return true;
}

/* A free span with room for the units, which are all mapped; NULL if there is none. */
static struct free_span *find_mapped(size_t units, size_t align) {
    for (;;) {
        struct free_span *free = spans_descriptors_suffice() ? find_free(units, align) : NULL;
        int error = free != NULL ? span_claim(free, aligned_unit(free->span.first, align), units) : 0;
        if (error == 0) {
            return free;
        }
        if (error != EEXIST) {
            return NULL;
        }
    }
}

bool span_take(struct span *span, size_t units, size_t align, uint32_t entry, bool *zero) {
    if (units + align - 1 > window.units_reserved) {
        return false;
    }
    lock_take(&spans.lock);
    struct free_span *free = find_mapped(units, align);
    if (free != NULL && !charge(free, aligned_unit(free->span.first, align), units)) {
        free = NULL;
    }
    struct span due = {0};
    if (free != NULL) {
        due = huge_pages_are_on() ? huge_pages_due(free, aligned_unit(free->span.first, align), units) : due;
        *zero = take_from(free, span, units, align, entry);
    }
    lock_give(&spans.lock);
    if (due.units != 0) {
        huge_pages_populate(due, span->first);
    }
    return free != NULL;
}

static struct free_span *find_dirty(size_t units, size_t most) {
    struct free_span *found = free_span_find(&spans.dirty, units);
    return found != NULL && found->span.units <= most ? found : NULL;
}

bool span_take_dirty(struct span *span, size_t units, size_t most, size_t align, uint32_t entry) {
    lock_take(&spans.lock);
    struct free_span *free = spans_descriptors_suffice() ? find_dirty(units + align - 1, most) : NULL;
    if (free != NULL && (span_claim(free, aligned_unit(free->span.first, align), units) != 0 ||
                         !charge(free, aligned_unit(free->span.first, align), units))) {
        free = NULL;
    }
    if (free != NULL) {
        (void)take_from(free, span, units, align, entry);
    }
    lock_give(&spans.lock);
    return free != NULL;
}

bool span_dirty_fits(size_t units, size_t most) {
    lock_take(&spans.lock);
    bool fits = find_dirty(units, most) != NULL;
    lock_give(&spans.lock);
    return fits;
}

bool span_grow(struct span *span, size_t units, uint32_t entry) {
    lock_take(&spans.lock);
    size_t end = (size_t)span->first + span->units;
    size_t more = units - span->units;
    struct free_span *next = spans_free_from(end);
    size_t room = next != NULL ? next->span.units : 0;
    if (room < more && end + room == spans.top) {
        next = span_claim_top(end + more);
    }
    bool grown =
        next != NULL && next->span.units >= more && span_claim(next, end, more) == 0 && charge(next, end, more);
    if (grown) {
        spans_carve(next, end, more);
        settle(span, end, more, entry);
        span->units = (uint32_t)units;
    }
    lock_give(&spans.lock);
    return grown;
}

static void give(const struct span *span, uint64_t now_ms, uint64_t since_ms) {
    spans_begin_period(now_ms);
    page_map_fill(span->first, span->units, UNIT_DIRTY);
    spans.live_units -= span->units;
    spans_release(span->first, span->units, span->units, since_ms, since_ms < now_ms);
}

void span_give_aged(const struct span *span, uint64_t since_ms) {
    const uint64_t now_ms = os_coarse_ms();
    lock_take(&spans.lock);
    spans.taken--;
    give(span, now_ms, since_ms < now_ms ? since_ms : now_ms);
    lock_give(&spans.lock);
}

void span_give(const struct span *span) {
    span_give_aged(span, UINT64_MAX);
}

void span_cut(struct span *span, size_t units) {
    if (units < span->units) {
        const uint64_t now_ms = os_coarse_ms();
        const struct span rest = {.first = span->first + (uint32_t)units, .units = span->units - (uint32_t)units};
        span->units = (uint32_t)units;
        give(&rest, now_ms, now_ms);
    }
}

void span_shrink(struct span *span, size_t units) {
    lock_take(&spans.lock);
    span_cut(span, units);
    lock_give(&spans.lock);
}

void span_lose(const struct span *span) {
    lock_take(&spans.lock);
    page_map_fill(span->first, span->units, UNIT_LOST);
    spans.live_units -= span->units;
    spans.lost_units += span->units;
    holding_give((size_t)span->units << UNIT_SHIFT);
    spans.lost_spans++;
    lock_give(&spans.lock);
}
