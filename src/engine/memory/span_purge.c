#include <errno.h>

#include "base/bits.h"
#include "base/compiler.h"
#include "engine/tables/holding.h"
#include "engine/tables/page_map.h"
#include "huge_pages.h"
#include "os/os.h"
#include "span.h"
#include "span_age.h"
#include "span_claim.h"

/* In a claimed window, a piece of this many units or more is unmapped rather than purged. */
#define UNMAP_MIN ((size_t)8)

/* A forked child maps memory anew at most this many times. */
#define RENEWALS_FORKED ((size_t)1024)

/* One call purges this many units, and on a slow machine no more than it can in PURGE_US. It is the same number on most
 * machines, because what a program finds dirty decides where its next blocks lie. If it is urgent (may_go_on), a call
 * purges for PURGE_OVERDUE_US. The clock is read between pieces. After each that took less than QUICK_US, because
 * little of it was resident, the next is twice as long, up to PIECE_MOST. */
#define PURGE_UNITS ((size_t)32)
#define PURGE_US 100u
#define PURGE_OVERDUE_US 1000u
#define PIECE_UNITS ((size_t)8)
#define PIECE_MOST ((size_t)32)
#define QUICK_US 10u

/* Ends a purge, successful or not: the units become a free span of this kind, or are lost. */
static void end_purge(struct span span, enum unit_kind kind) {
    const bool clean = kind != UNIT_DIRTY;
    page_map_fill(span.first, span.units, kind);
    holding_give(clean ? (size_t)span.units << UNIT_SHIFT : 0);
    if (clean) {
        atomic_store_explicit(&spans.purges, spans.purges + 1, memory_order_relaxed);
        spans.purged_units += span.units;
    }
    if (kind == UNIT_LOST) {
        spans.lost_units += span.units;
        if (spans_descriptors_suffice()) {
            spans.taken++;
            spans.lost_spans++;
        }
        return;
    }
    spans_release(span.first, span.units, clean ? 0 : span.units, clean ? 0 : os_coarse_ms(), false);
    spans.unmapped_units += kind == UNIT_UNMAPPED ? span.units : 0;
}

/* Maps units anew, and returns their new kind. Not in a claimed window, because the process may lock memory as it is
 * mapped. If the process has asked for that by a call that we have not seen, the new pages are locked too; then we do
 * not do it again. */
static enum unit_kind renew(struct span span) {
    lock_take(&spans.lock);
    bool may = spans.renewals != 0 && !window_is_claimed();
    spans.renewals -= may;
    lock_give(&spans.lock);
    bool lost = false;
    if (!may || window_renew(span.first, span.units, &lost) != 0) {
        return lost ? UNIT_LOST : UNIT_DIRTY;
    }
    if (os_purge(window_address(span.first), UNIT) == EINVAL) {
        lock_take(&spans.lock);
        spans.renewals = 0;
        lock_give(&spans.lock);
    }
    return UNIT_FRESH;
}

enum way { BY_PURGING, BY_RENEWING, BY_UNMAPPING };

/* Whether free units may be unmapped, because they can be claimed again. */
static bool may_unmap(void) {
    return window_is_claimed() && !atomic_load_explicit(&spans.keeps_mapped, memory_order_relaxed);
}

/* Gives the memory of units that nobody owns back to the system, and returns their new kind. Without the lock. */
static enum unit_kind give_back(struct span span, enum way way) {
    if (way == BY_UNMAPPING && window_unmap(span.first, span.units)) {
        return UNIT_UNMAPPED;
    }
    if (way != BY_RENEWING && window_purge(span.first, span.units)) {
        return os_purge_zeroes() ? UNIT_FRESH : UNIT_DIRTY;
    }
    if (may_unmap() && way != BY_UNMAPPING && window_unmap(span.first, span.units)) {
        return UNIT_UNMAPPED;
    }
    return renew(span);
}

/* Whether this many units in a row are unmapped instead of purged. */
static bool worth_unmapping(size_t units) {
    return may_unmap() && units >= max_size(UNMAP_MIN, spans.top / UNMAP_SHARE);
}

/* Gives up to `most` units of the oldest dirty span back to the system, from its last dirty unit down. False if there
 * is none, if another thread is doing so, or if the system refused. */
static bool purge_oldest(size_t most) {
    struct free_span *free = spans_oldest_dirty();
    if (free == NULL || spans.purging.units) {
        return false;
    }
    size_t end = free->node.tag;
    while (page_map_load(end - 1) != UNIT_DIRTY) {
        end--;
    }
    size_t first = free->span.first;
    for (size_t unit = end; spans.unmapped_units != 0 && unit > first; unit--) {
        if (page_map_load(unit - 1) == UNIT_UNMAPPED) {
            first = unit;
        }
    }
    size_t units = min_size(end - first, most);
    first = end - units;
    holding_add((units - spans_dirty_within(free, first, units)) << UNIT_SHIFT);
    spans_carve(free, first, units);
    page_map_fill(first, units, UNIT_PURGING);
    spans.purging = (struct span){.first = (uint32_t)first, .units = (uint32_t)units};
    const struct span purging = spans.purging;
    enum way way = worth_unmapping(units) ? BY_UNMAPPING : BY_PURGING;
    lock_give(&spans.lock);
    enum unit_kind kind = give_back(purging, way);
    lock_take(&spans.lock);
    spans.purging.units = 0;
    end_purge(purging, kind);
    spans.lent_units += kind != UNIT_DIRTY ? units : 0;
    return kind != UNIT_DIRTY;
}

/* Whether the oldest dirty span has been due for this many milliseconds. */
static bool due_since(uint64_t now_ms, uint64_t ms) {
    const struct free_span *oldest = spans_oldest_dirty();
    return oldest != NULL && spans_due_ms(oldest) + ms <= now_ms;
}

/* The dirty units that the program is not known to need again. */
static size_t unneeded_units(void) {
    return spans.dirty_units > spans.kept_units ? spans.dirty_units - spans.kept_units : 0;
}

/* Whether purge_beyond (same arguments) may purge another piece, having purged `units` units in `took_us`. In a claimed
 * window, an excess is as urgent as what is overdue. */
static bool may_go_on(size_t most, uint64_t now_ms, uint64_t units, uint64_t took_us) {
    const bool urgent = (now_ms != SPANS_NEVER && due_since(now_ms, spans.decay_ms)) ||
                        (window_is_claimed() && spans.dirty_units > most);
    return urgent ? took_us < PURGE_OVERDUE_US : took_us < PURGE_US && units < PURGE_UNITS;
}

/* Purges one piece after another while there are more than `most` dirty units, or some are due at `now_ms`;
 * SPANS_NEVER: no matter how old they are. */
static void purge_beyond(size_t most, uint64_t now_ms) {
    const uint64_t start_us = os_fine_us();
    const size_t least = window_is_claimed() ? max_size(PIECE_UNITS, spans.top / UNMAP_SHARE) : PIECE_UNITS;
    size_t piece = least;
    const uint64_t purged = spans.purged_units;
    uint64_t took_us = 0;
    while ((spans.dirty_units > most || (now_ms != SPANS_NEVER && due_since(now_ms, 0))) &&
           may_go_on(most, now_ms, spans.purged_units - purged, took_us) &&
           purge_oldest(max_size(min_size(piece, unneeded_units()), least))) {
        const uint64_t before_us = took_us;
        took_us = os_fine_us() - start_us;
        piece <<= took_us - before_us < QUICK_US && piece < PIECE_MOST;
    }
}

/* Gives back a span whose units are of this kind. */
static void give_as(const struct span *span, enum unit_kind kind) {
    lock_take(&spans.lock);
    spans_begin_period(os_coarse_ms());
    spans.taken--;
    spans.live_units -= span->units;
    end_purge(*span, kind);
    lock_give(&spans.lock);
}

void span_give_advised(const struct span *span) {
    give_as(span, give_back(*span, BY_RENEWING));
}

void span_give_purged(const struct span *span) {
    give_as(span, give_back(*span, may_unmap() ? BY_UNMAPPING : BY_PURGING));
}

void span_give_moved(const struct span *span) {
    give_as(span, UNIT_FRESH);
}

void span_decay(uint64_t now_ms) {
    if (LIKELY(now_ms < atomic_load_explicit(&spans.due_ms, memory_order_relaxed))) {
        return;
    }
    lock_take(&spans.lock);
    spans_begin_period(now_ms);
    purge_beyond(spans_dirty_cap(), now_ms);
    spans_set_due();
    lock_give(&spans.lock);
}

void span_purge(size_t units) {
    if (units == 0) {
        return;
    }
    lock_take(&spans.lock);
    purge_beyond(spans.dirty_units > units ? spans.dirty_units - units : 0, SPANS_NEVER);
    lock_give(&spans.lock);
}

/* The free part of a populated huge page is present although it is fresh: it becomes dirty. */
static void dirty_populated(void) {
    struct free_span *free = huge_pages_were_due() ? free_span_find(&spans.fresh, 1) : NULL;
    for (; free != NULL && free->span.units < HUGE_PAGE_UNITS; free = free_span_find(&spans.fresh, 1)) {
        const struct span span = free->span;
        spans_lift(free);
        page_map_fill(span.first, span.units, UNIT_DIRTY);
        holding_add((size_t)span.units << UNIT_SHIFT);
        list_push_front(&spans.aging, &free->age);
        spans_settle(free, span.first, span.units, span.units, (size_t)span.first + span.units);
    }
}

size_t span_purge_all(void) {
    lock_take(&spans.lock);
    uint64_t before = spans.purged_units;
    dirty_populated();
    /* One try for each span: those whose pages the system refuses, such as locked ones, go to the end of the list. A
     * span may be dirty on both sides of an unmapped piece, so only a failed try counts. */
    for (size_t tries = list_length(&spans.aging); tries;) {
        tries -= !purge_oldest(SIZE_MAX) || spans.unmapped_units == 0;
    }
    uint64_t purged = spans.purged_units - before;
    lock_give(&spans.lock);
    return (size_t)purged << UNIT_SHIFT;
}

void spans_recover(void) {
    if (spans.purging.units == 0) {
        return;
    }
    /* The system may have unmapped them, or not yet. */
    int error = window_is_claimed() ? window_map(spans.purging.first, spans.purging.units) : EEXIST;
    const struct span purging = spans.purging;
    spans.purging.units = 0;
    end_purge(purging, error == 0 ? UNIT_FRESH : error == EEXIST ? UNIT_DIRTY : UNIT_UNMAPPED);
}

void spans_forked(void) {
    spans.renewals = spans.renewals < RENEWALS_FORKED ? spans.renewals : RENEWALS_FORKED;
}
