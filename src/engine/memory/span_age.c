#include "span_age.h"

#include "base/bits.h"
#include "engine/tables/window.h"
#include "ranks.h"

/* Dirty memory is kept while live and dirty memory together exceed recent live memory by at most this fraction; and
 * this much in any case. So a program whose demand rises and falls reuses its memory without page faults, and its peak
 * hardly rises. */
#define DIRTY_SHARE 8u
#define DIRTY_MIN_UNITS ((size_t)512)

/* A limit far above what the program uses leaves room for free memory as well, up to this fraction of it. */
#define ALLOWED_SHARE 4u

/* Kept memory is purged after decay_ms. What the program is not known to need again is purged earlier: once the program
 * has used less than 1/REUSE_SHARE of it for 1/QUIET_SHARE of decay_ms. What it took again after a purge is known to be
 * needed; each decay_ms, 1/KEPT_LAPSE of that is forgotten. */
#define QUIET_SHARE 24u
#define REUSE_SHARE 8u
#define KEPT_LAPSE 16u

struct spans spans = {.lock = LOCK_INIT(LOCK_SPANS)};

struct free_span *spans_oldest_dirty(void) {
    return list_empty(&spans.aging) ? NULL : CONTAINER_OF(spans.aging.next, struct free_span, age);
}

/* In a claimed window, dirty memory takes from what the limit leaves for threads and the program's own mappings; so it
 * is kept only up to DIRTY_SHARE of the peak, or ALLOWED_SHARE of what is allowed, unless the program wants to keep
 * what it has freed. */
size_t spans_dirty_cap(void) {
    const size_t peak = max_size(spans.peak, spans.peak_before);
    const size_t most = peak + peak / DIRTY_SHARE;
    size_t cap = most > spans.live_units ? most - spans.live_units : 0;
    if (window_is_claimed() && spans.decay_ms != SPANS_KEPT_MS) {
        cap = min_size(cap, max_size(peak / DIRTY_SHARE, spans.allowed_units / ALLOWED_SHARE));
    }
    return max_size(cap, DIRTY_MIN_UNITS);
}

void spans_note_taken(size_t dirty_units, size_t clean_units) {
    const size_t early = min_size(clean_units, spans.lent_units);
    spans.lent_units -= early;
    spans.kept_units += early;
    spans.reused_units += dirty_units;
    if (spans.reused_units >= spans.dirty_units / REUSE_SHARE) {
        spans.reused_units = 0;
        spans.reused_ms = spans.now_ms;
    }
}

bool spans_would_peak(size_t units) {
    lock_take(&spans.lock);
    bool peaks = spans.live_units + units >= max_size(spans.peak, spans.peak_before);
    lock_give(&spans.lock);
    return peaks;
}

uint64_t spans_freed_ms(const struct free_span *free) {
    return spans.now_ms + (uint64_t)(int64_t)(int32_t)(free->freed_ms - (uint32_t)spans.now_ms);
}

uint64_t spans_due_ms(const struct free_span *oldest) {
    const uint64_t freed_ms = spans_freed_ms(oldest);
    const uint64_t quiet_ms = max_size(freed_ms, spans.reused_ms) + spans.decay_ms / QUIET_SHARE;
    const uint64_t due_ms = freed_ms + spans.decay_ms;
    return spans.dirty_units > spans.kept_units && quiet_ms < due_ms ? quiet_ms : due_ms;
}

void spans_set_due(void) {
    const struct free_span *oldest = spans_oldest_dirty();
    uint64_t due = SPANS_NEVER;
    if (oldest != NULL) {
        due = spans.dirty_units > spans_dirty_cap() ? 0 : spans_due_ms(oldest);
    }
    atomic_store_explicit(&spans.due_ms, due, memory_order_relaxed);
}

void spans_set_decay(uint32_t decay_ms) {
    lock_take(&spans.lock);
    spans.decay_ms = decay_ms;
    if (spans.aging.next != NULL) { /* the engine has started */
        spans_set_due();
    }
    lock_give(&spans.lock);
}

void spans_begin_period(uint64_t now_ms) {
    uint64_t age = now_ms - spans.period_ms;
    spans.now_ms = now_ms;
    if (age >= spans.decay_ms) {
        spans.peak_before = age < 2 * (uint64_t)spans.decay_ms ? spans.peak : 0;
        spans.peak = 0;
        spans.period_ms += age;
        spans.kept_units -= (spans.kept_units - KEPT_MIN_UNITS) / KEPT_LAPSE;
    }
    spans.peak = max_size(spans.peak, spans.live_units);
}
