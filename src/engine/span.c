#include "span.h"

#include <errno.h>

#include "base/compiler.h"
#include "base/fault.h"
#include "holding.h"
#include "metadata.h"
#include "os/os.h"
#include "page_map.h"
#include "ranks.h"

/*
 * Dirty memory is kept while live and dirty memory together are no more than was live a moment ago, and this share of
 * that; and up to so much in any case. So a program whose demand goes up and down gets its own memory back, without the
 * system's page faults, and its peak is hardly higher for it.
 */
#define DIRTY_SHARE 8u
#define DIRTY_MIN_UNITS ((size_t)512)

/* Free units are unmapped, in a window that is claimed, in runs of this many, and of this part of the window: a mapping
 * is divided each time, and the kernel allows a process some 65,000 mappings. */
#define UNMAP_MIN ((size_t)8)
#define UNMAP_SHARE 4096u

/* Where another mapping lies at the end of the window, so many units are passed over, then twice as many. */
#define PASSED_MIN ((size_t)16)

/* Spans of about the right size that are looked at for one that is aligned. */
#define ALIGNED_TRIES 16u

/* In a forked child memory is mapped anew so often at most. */
#define RENEWALS_FORKED ((size_t)1024)

/* One call purges for this long, and for what has been due for a further decay_ms, for this long. The clock is looked
 * at between pieces, each of which takes some 30 microseconds. */
#define PURGE_US 100u
#define PURGE_OVERDUE_US 1000u
#define PIECE_UNITS ((size_t)8)

/* Descriptors that are freed at a time. */
#define DESCRIPTORS_STEP 256u

struct spans spans = {.lock = LOCK_INIT(LOCK_SPANS)};

void spans_start(uint32_t decay_ms) {
    list_init(&spans.aging);
    list_init(&spans.spare);
    spans.decay_ms = decay_ms;
    spans.due_ms = SPANS_NEVER;
    spans.renewals = SIZE_MAX;
}

static struct free_span *oldest_dirty(void) {
    return list_empty(&spans.aging) ? NULL : CONTAINER_OF(spans.aging.next, struct free_span, age);
}

static size_t larger(size_t a, size_t b) {
    return a > b ? a : b;
}

static size_t smaller(size_t a, size_t b) {
    return a < b ? a : b;
}

static size_t dirty_cap(void) {
    size_t peak = larger(spans.peak, spans.peak_before);
    size_t most = peak + peak / DIRTY_SHARE;
    return larger(most > spans.live_units ? most - spans.live_units : 0, DIRTY_MIN_UNITS);
}

/* By the whole clock: within 24 days of now. */
static uint64_t freed_ms(const struct free_span *free) {
    return spans.now_ms + (uint64_t)(int64_t)(int32_t)(free->freed_ms - (uint32_t)spans.now_ms);
}

static void set_due(void) {
    const struct free_span *oldest = oldest_dirty();
    uint64_t due = SPANS_NEVER;
    if (oldest != NULL) {
        due = spans.dirty_units > dirty_cap() ? 0 : freed_ms(oldest) + spans.decay_ms;
    }
    atomic_store_explicit(&spans.due_ms, due, memory_order_relaxed);
}

void spans_set_decay(uint32_t decay_ms) {
    lock_take(&spans.lock);
    spans.decay_ms = decay_ms;
    if (spans.aging.next != NULL) { /* the engine has started */
        set_due();
    }
    lock_give(&spans.lock);
}

/*
 * The indexes. A free span that is dirty is also on the aging list, but the functions here leave that list alone: a
 * span that changes its bounds keeps its place in it.
 */
static void index_insert(struct free_span *free) {
    window.spans[free->span.first] = &free->span;
    window.spans[free->span.first + free->span.units - 1] = &free->span;
    free_span_insert(free->dirty_units ? &spans.dirty : &spans.fresh, free);
    spans.free_units += free->span.units;
    spans.dirty_units += free->dirty_units;
}

static void index_remove(struct free_span *free) {
    free_span_remove(free->dirty_units ? &spans.dirty : &spans.fresh, free);
    spans.free_units -= free->span.units;
    spans.dirty_units -= free->dirty_units;
}

static struct free_span *descriptor_take(void) {
    ASSERT(!list_empty(&spans.spare));
    struct free_span *free = CONTAINER_OF(spans.spare.next, struct free_span, age);
    list_remove(&free->age);
    return free;
}

/* The age link of a free span is in `aging` or `spare`, or in neither and points at itself. */
static void descriptor_give(struct free_span *free) {
    list_remove(&free->age);
    list_push_front(&spans.spare, &free->age);
}

/* Sees to it that another span may be taken, and given back later without fail. */
static bool descriptors_suffice(void) {
    while (spans.descriptors < spans.taken + 1 + SPANS_SPARE) {
        struct free_span *free = metadata_alloc(sizeof *free);
        if (free == NULL) {
            return false;
        }
        list_push_front(&spans.spare, &free->age);
        spans.descriptors++;
    }
    return true;
}

static struct free_span *free_span_at(size_t unit) {
    return CONTAINER_OF(window.spans[unit], struct free_span, span);
}

/* The free span that ends right before (starts at) a unit; NULL when there is none. */
static struct free_span *free_before(size_t unit) {
    return unit > 0 && entry_is_free(page_map_load(unit - 1)) ? free_span_at(unit - 1) : NULL;
}

static struct free_span *free_from(size_t unit) {
    return unit < spans.top && entry_is_free(page_map_load(unit)) ? free_span_at(unit) : NULL;
}

/* Makes `free` (in no index) hold first .. first + units - 1, dirty before dirty_end only, and puts it there; an empty
 * one is a spare descriptor. */
static void resettle(struct free_span *free, size_t first, size_t units, size_t dirty_units, size_t dirty_end) {
    if (units == 0) {
        descriptor_give(free);
        return;
    }
    free->span = (struct span){.first = (uint32_t)first, .units = (uint32_t)units};
    free->dirty_units = (uint32_t)dirty_units;
    free->node.tag = (uint32_t)smaller(dirty_end, first + units);
    if (dirty_units == 0) {
        list_remove(&free->age);
    }
    index_insert(free);
}

/*
 * Frees first .. first + units - 1, whose entries say which units are dirty, and joins them with free neighbours. The
 * joined span is as old as its largest dirty part, so that a small piece neither keeps a large one from its decay nor
 * hurries it. What is aged comes before all others.
 */
static void release(size_t first, size_t units, size_t dirty_units, uint64_t since_ms, bool aged) {
    struct free_span *before = free_before(first);
    struct free_span *after = free_from(first + units);
    struct free_span *whole = NULL; /* the descriptor that stays */
    size_t largest = dirty_units;
    size_t end = first + units;
    size_t dirty_end = dirty_units ? end : 0;
    if (before != NULL) {
        index_remove(before);
        first = before->span.first;
        dirty_units += before->dirty_units;
        dirty_end = larger(dirty_end, before->node.tag);
        if (before->dirty_units > largest) {
            largest = before->dirty_units;
            whole = before;
        }
    }
    if (after != NULL) {
        index_remove(after);
        end += after->span.units;
        dirty_units += after->dirty_units;
        dirty_end = after->dirty_units ? after->node.tag : dirty_end;
        if (after->dirty_units > largest) {
            whole = after;
        }
    }
    if (whole == NULL) {
        whole = before != NULL ? before : after != NULL ? after : descriptor_take();
        list_remove(&whole->age);
        if (dirty_units) {
            whole->freed_ms = (uint32_t)since_ms;
            list_insert_after(aged ? &spans.aging : spans.aging.prev, &whole->age);
        }
    }
    if (before != NULL && before != whole) {
        descriptor_give(before);
    }
    if (after != NULL && after != whole) {
        descriptor_give(after);
    }
    resettle(whole, first, end - first, dirty_units, dirty_end);
    set_due();
}

/* The dirty units of a part of a free span: counted only where the span has both kinds. */
static size_t dirty_within(const struct free_span *free, size_t first, size_t units) {
    if (free->dirty_units == free->span.units) {
        return units;
    }
    size_t end = smaller(first + units, free->node.tag);
    return free->dirty_units != 0 && first < end ? page_map_count(first, end - first, UNIT_DIRTY) : 0;
}

/* Takes first .. first + units - 1 out of a free span and says whether they are all fresh. */
static bool carve(struct free_span *free, size_t first, size_t units) {
    size_t end = free->span.first + free->span.units;
    size_t head = first - free->span.first;
    size_t tail = end - (first + units);
    size_t dirty_end = free->node.tag;
    size_t taken_dirty = dirty_within(free, first, units);
    /* The shorter one is counted. */
    size_t head_dirty = head <= tail ? dirty_within(free, free->span.first, head) : 0;
    size_t tail_dirty =
        head <= tail ? free->dirty_units - taken_dirty - head_dirty : dirty_within(free, first + units, tail);
    head_dirty = free->dirty_units - taken_dirty - tail_dirty;
    index_remove(free);
    if (head && tail) {
        struct free_span *rest = descriptor_take();
        rest->freed_ms = free->freed_ms;
        if (tail_dirty) {
            list_insert_after(&free->age, &rest->age);
        }
        resettle(rest, first + units, tail, tail_dirty, dirty_end);
        resettle(free, free->span.first, head, head_dirty, dirty_end);
    } else if (head) {
        resettle(free, free->span.first, head, head_dirty, dirty_end);
    } else {
        resettle(free, first + units, tail, tail_dirty, dirty_end);
    }
    set_due();
    return taken_dirty == 0;
}

/* Makes units at the top part of the window's use, as a fresh free span that ends at `end`. */
static struct free_span *raise_top(size_t end) {
    ASSERT(end > spans.top);
    if (end > window.units_reserved) {
        return NULL;
    }
    if (end << UNIT_SHIFT > window.units_area.accessible) {
        metadata_reserve(window_ahead(end));
    }
    if (window_reach(end)) {
        return NULL;
    }
    size_t first = spans.top;
    page_map_fill(first, end - first, UNIT_FRESH);
    spans.top = end;
    release(first, end - first, 0, 0, false);
    return free_before(end);
}

/* The window ends where another mapping lies: what is accessible becomes a free span, and units behind it are passed
 * over. False when that cannot be done. */
static bool pass_over(size_t units) {
    size_t end = window.units_area.accessible >> UNIT_SHIFT;
    if (!descriptors_suffice() || (end > spans.top && raise_top(end) == NULL) || window_skip(units)) {
        return false;
    }
    page_map_fill(end, units, UNIT_LOST);
    spans.top = end + units;
    spans.lost_units += units;
    spans.lost_spans++;
    spans.taken++;
    return true;
}

/* The first unit at or after `unit` whose address is a multiple of `align` units. */
static size_t aligned_unit(size_t unit, size_t align) {
    size_t base = window.base >> UNIT_SHIFT;
    return round_up(base + unit, align) - base;
}

/* Of one index: a span that fits as it lies, of the first few that are long enough; or one that fits however it lies.
 */
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
    if (free == NULL) {
        free = find_in(&spans.fresh, units, align);
    }
    if (free != NULL) {
        return free;
    }
    /* What is free at the top may fit as it lies, or with units from above the top; beyond other mappings, if need be.
     */
    for (size_t passed = PASSED_MIN;; passed *= 2) {
        struct free_span *last = free_before(spans.top);
        size_t end = aligned_unit(last != NULL ? last->span.first : spans.top, align) + units;
        if (end <= spans.top) {
            return last;
        }
        free = raise_top(end);
        if (free != NULL || end > window.units_reserved || window_reach(end) != EEXIST || !pass_over(passed)) {
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
    spans.peak = larger(spans.peak, spans.live_units);
}

/* Takes a span from the start of a free one; whether it reads as zero. */
static bool take_from(struct free_span *free, struct span *span, size_t units, size_t align, uint32_t entry) {
    size_t first = aligned_unit(free->span.first, align);
    bool zero = carve(free, first, units);
    span->first = (uint32_t)first;
    span->units = (uint32_t)units;
    settle(span, first, units, entry);
    spans.taken++;
    return zero;
}

/* How many units from `unit` on, before `end`, are unmapped, or are not. */
static size_t run_of(size_t unit, size_t end, bool unmapped) {
    size_t at = unit;
    while (at < end && (page_map_load(at) == UNIT_UNMAPPED) == unmapped) {
        at++;
    }
    return at - unit;
}

/* Takes a unit of a free span, where another mapping lies, out of use. */
static void lose_free(struct free_span *free, size_t unit) {
    if (!descriptors_suffice()) {
        return;
    }
    carve(free, unit, 1);
    page_map_store(unit, UNIT_LOST);
    spans.unmapped_units--;
    spans.lost_units++;
    spans.lost_spans++;
    spans.taken++;
}

/*
 * Claims those of the units first .. first + units - 1 of a free span that are unmapped. 0, ENOMEM, or EEXIST: then one
 * unit is lost, and the free span is another.
 */
static int map_units(struct free_span *free, size_t first, size_t units) {
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

/* Counts what units of a free span do not hold yet. False when that would pass the limit. */
static bool charge(const struct free_span *free, size_t first, size_t units) {
    return holding_take((units - dirty_within(free, first, units)) << UNIT_SHIFT);
}

/* A free span with room for the units, all of which can be used; NULL when there is none. */
static struct free_span *find_mapped(size_t units, size_t align) {
    for (;;) {
        struct free_span *free = descriptors_suffice() ? find_free(units, align) : NULL;
        int error = free != NULL ? map_units(free, aligned_unit(free->span.first, align), units) : 0;
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
    if (free != NULL) {
        *zero = take_from(free, span, units, align, entry);
    }
    lock_give(&spans.lock);
    return free != NULL;
}

static struct free_span *find_dirty(size_t units, size_t most) {
    struct free_span *found = free_span_find(&spans.dirty, units);
    return found != NULL && found->span.units <= most ? found : NULL;
}

bool span_take_dirty(struct span *span, size_t units, size_t most, size_t align, uint32_t entry) {
    lock_take(&spans.lock);
    struct free_span *free = descriptors_suffice() ? find_dirty(units + align - 1, most) : NULL;
    if (free != NULL && (map_units(free, aligned_unit(free->span.first, align), units) != 0 ||
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
    struct free_span *next = free_from(end);
    size_t room = next != NULL ? next->span.units : 0;
    if (room < more && end + room == spans.top) {
        next = raise_top(end + more);
    }
    bool grown = next != NULL && next->span.units >= more && map_units(next, end, more) == 0 && charge(next, end, more);
    if (grown) {
        carve(next, end, more);
        settle(span, end, more, entry);
        span->units = (uint32_t)units;
    }
    lock_give(&spans.lock);
    return grown;
}

/* Makes units that were purged, or could not be, a free span of this kind of units, or lost. */
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
        if (descriptors_suffice()) {
            spans.taken++;
            spans.lost_spans++;
        }
        return;
    }
    release(span.first, span.units, clean ? 0 : span.units, clean ? 0 : os_coarse_ms(), false);
    spans.unmapped_units += kind == UNIT_UNMAPPED ? span.units : 0;
}

/*
 * Maps units anew; what they are then. Not where addresses are claimed, for the process may lock its memory as it is
 * mapped. If it does so by a call that we have not seen, the new pages are locked too: then this is not done again.
 */
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

/* How units are to go back to the system. */
enum way { BY_PURGING, BY_RENEWING, BY_UNMAPPING };

/* Gives the memory of units that are nobody's to the system; what they are then. Without the lock. */
static enum unit_kind give_back(struct span span, enum way way) {
    bool claimed = window_is_claimed();
    if (way == BY_UNMAPPING && window_unmap(span.first, span.units)) {
        return UNIT_UNMAPPED;
    }
    if (way != BY_RENEWING && window_purge(span.first, span.units)) {
        return os_purge_zeroes() ? UNIT_FRESH : UNIT_DIRTY;
    }
    if (claimed && way != BY_UNMAPPING && window_unmap(span.first, span.units)) {
        return UNIT_UNMAPPED;
    }
    return renew(span);
}

/* Whether so many units, in a row, are to be unmapped when they go back to the system. */
static bool worth_unmapping(size_t units) {
    return window_is_claimed() && units >= larger(UNMAP_MIN, spans.top / UNMAP_SHARE);
}

/*
 * Takes up to `most` units of the oldest dirty span, from its last dirty unit downwards, through the system and back;
 * false when there is none, another thread is at it, or the system refused.
 */
static bool purge_oldest(size_t most) {
    struct free_span *free = oldest_dirty();
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
    size_t units = smaller(end - first, most);
    first = end - units;
    holding_add((units - dirty_within(free, first, units)) << UNIT_SHIFT);
    carve(free, first, units);
    page_map_fill(first, units, UNIT_PURGING);
    spans.purging = (struct span){.first = (uint32_t)first, .units = (uint32_t)units};
    const struct span purging = spans.purging;
    enum way way = worth_unmapping(units) ? BY_UNMAPPING : BY_PURGING;
    lock_give(&spans.lock);
    enum unit_kind kind = give_back(purging, way);
    lock_take(&spans.lock);
    spans.purging.units = 0;
    end_purge(purging, kind);
    return kind != UNIT_DIRTY;
}

/* A new period of decay_ms begins with what is live now, and the last one is remembered. */
static void begin_period(uint64_t now_ms) {
    uint64_t age = now_ms - spans.period_ms;
    spans.now_ms = now_ms;
    if (age >= spans.decay_ms) {
        spans.peak_before = age < 2 * (uint64_t)spans.decay_ms ? spans.peak : 0;
        spans.peak = 0;
        spans.period_ms += age;
    }
    spans.peak = larger(spans.peak, spans.live_units);
}

/* Whether the oldest dirty span has been due for so many milliseconds. */
static bool due_since(uint64_t now_ms, uint64_t ms) {
    const struct free_span *oldest = oldest_dirty();
    return oldest != NULL && freed_ms(oldest) + spans.decay_ms + ms <= now_ms;
}

/* Purges one piece after another while there are more dirty units than `most`, or some are due; the last argument tells
 * the time, or is SPANS_NEVER, and nothing is due. */
static void purge_beyond(size_t most, uint64_t now_ms) {
    const uint64_t start_us = os_fine_us();
    const size_t piece = window_is_claimed() ? larger(PIECE_UNITS, spans.top / UNMAP_SHARE) : PIECE_UNITS;
    uint64_t took_us = 0;
    while ((spans.dirty_units > most || (now_ms != SPANS_NEVER && due_since(now_ms, 0))) && purge_oldest(piece) &&
           took_us < (now_ms != SPANS_NEVER && due_since(now_ms, spans.decay_ms) ? PURGE_OVERDUE_US : PURGE_US)) {
        took_us = os_fine_us() - start_us;
    }
}

static void give(const struct span *span, uint64_t now_ms, uint64_t since_ms) {
    begin_period(now_ms);
    page_map_fill(span->first, span->units, UNIT_DIRTY);
    spans.live_units -= span->units;
    release(span->first, span->units, span->units, since_ms, since_ms < now_ms);
}

void span_give_aged(const struct span *span, uint64_t since_ms) {
    const uint64_t now_ms = os_coarse_ms();
    lock_take(&spans.lock);
    spans.taken--;
    give(span, now_ms, since_ms < now_ms ? since_ms : now_ms);
    lock_give(&spans.lock);
}

void span_give_advised(const struct span *span) {
    enum unit_kind kind = give_back(*span, BY_RENEWING);
    lock_take(&spans.lock);
    begin_period(os_coarse_ms());
    spans.taken--;
    spans.live_units -= span->units;
    end_purge(*span, kind);
    lock_give(&spans.lock);
}

void span_give(const struct span *span) {
    span_give_aged(span, UINT64_MAX);
}

void span_shrink(struct span *span, size_t units) {
    const uint64_t now_ms = os_coarse_ms();
    lock_take(&spans.lock);
    const struct span rest = {.first = span->first + (uint32_t)units, .units = span->units - (uint32_t)units};
    span->units = (uint32_t)units;
    give(&rest, now_ms, now_ms);
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

void span_decay(uint64_t now_ms) {
    if (LIKELY(now_ms < atomic_load_explicit(&spans.due_ms, memory_order_relaxed))) {
        return;
    }
    lock_take(&spans.lock);
    begin_period(now_ms);
    purge_beyond(dirty_cap(), now_ms);
    set_due();
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

void spans_trim_descriptors(void) {
    bool more = true;
    while (more) {
        /* A few at a time, or others would wait for long. */
        struct list unneeded;
        list_init(&unneeded);
        lock_take(&spans.lock);
        for (unsigned i = 0; i < DESCRIPTORS_STEP && more; i++) {
            more = spans.descriptors > spans.taken + SPANS_SPARE && !list_empty(&spans.spare);
            if (more) {
                struct list *link = spans.spare.next;
                list_remove(link);
                list_push_front(&unneeded, link);
                spans.descriptors--;
            }
        }
        lock_give(&spans.lock);
        while (!list_empty(&unneeded)) {
            struct free_span *free = CONTAINER_OF(unneeded.next, struct free_span, age);
            list_remove(&free->age);
            metadata_free(free, sizeof *free);
        }
    }
}

size_t span_purge_all(void) {
    lock_take(&spans.lock);
    uint64_t before = spans.purged_units;
    /* One try for each: what the system refuses, as locked pages, goes back to the end of the list. Where a span may
     * be dirty on both sides of what is unmapped, only a try in vain counts. */
    for (size_t tries = list_length(&spans.aging); tries;) {
        tries -= !purge_oldest(SIZE_MAX) || spans.unmapped_units == 0;
    }
    uint64_t purged = spans.purged_units - before;
    lock_give(&spans.lock);
    return (size_t)purged << UNIT_SHIFT;
}

/* Unmaps a free span: what is left mapped may be locked in. */
static void unmap_free(struct free_span *free) {
    const size_t first = free->span.first;
    const size_t units = free->span.units;
    index_remove(free);
    for (size_t at = first, run; at < first + units; at += run) {
        run = run_of(at, first + units, false);
        if (run > spans.top / UNMAP_SHARE && window_unmap(at, run)) {
            holding_give(page_map_count(at, run, UNIT_DIRTY) << UNIT_SHIFT);
            page_map_fill(at, run, UNIT_UNMAPPED);
            spans.unmapped_units += run;
        }
        run += run_of(at + run, first + units, true);
    }
    resettle(free, first, units, page_map_count(first, units, UNIT_DIRTY), first + units);
}

/* What is free at the top, and unmapped, was never used: then there need be no tables for it either. */
static void lower_top(void) {
    struct free_span *last = free_before(spans.top);
    if (last == NULL || page_map_count(last->span.first, last->span.units, UNIT_UNMAPPED) != last->span.units) {
        return;
    }
    index_remove(last);
    page_map_fill(last->span.first, last->span.units, UNIT_UNUSED);
    spans.unmapped_units -= last->span.units;
    spans.top = last->span.first;
    window_retreat(spans.top);
    descriptor_give(last);
}

void spans_unmap(void) {
    lock_take(&spans.lock);
    size_t end = window.units_area.accessible >> UNIT_SHIFT;
    if (end > spans.top && descriptors_suffice()) {
        raise_top(end);
    }
    for (size_t unit = 0; window_is_claimed() && unit < spans.top; unit++) {
        struct free_span *free = free_from(unit);
        if (free != NULL) {
            unmap_free(free);
            unit += free->span.units;
        }
    }
    lower_top();
    set_due();
    lock_give(&spans.lock);
}

const struct free_span *span_around(size_t unit) {
    /* Inside a free span only the first and the last unit point at it; what others point at is stale. */
    for (size_t first = unit + 1; first-- > 0 && entry_is_free(page_map_load(first));) {
        const struct span *span = window.spans[first];
        bool starts = first == 0 || !entry_is_free(page_map_load(first - 1));
        if (starts) {
            return span != NULL && span->first == first && first + span->units > unit
                       ? CONTAINER_OF(span, struct free_span, span)
                       : NULL;
        }
    }
    return NULL;
}

void spans_recover(void) {
    if (spans.purging.units == 0) {
        return;
    }
    /* If they were being unmapped, the system has done it or not. */
    int error = window_is_claimed() ? window_map(spans.purging.first, spans.purging.units) : EEXIST;
    const struct span purging = spans.purging;
    spans.purging.units = 0;
    end_purge(purging, error == 0 ? UNIT_FRESH : error == EEXIST ? UNIT_DIRTY : UNIT_UNMAPPED);
}

void spans_forked(void) {
    spans.renewals = spans.renewals < RENEWALS_FORKED ? spans.renewals : RENEWALS_FORKED;
}
