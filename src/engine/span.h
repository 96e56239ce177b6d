/*
 * span.h - runs of units: taken for slabs and large blocks, given back, kept dirty for a while, purged.
 *
 * Free spans lie in one of two indexes (free_span.h): those of which every unit reads as zero (*fresh*), and those of
 * which some unit may still hold what its last user left (*dirty*). A request is served by a dirty span that fits, then
 * by a fresh one, then by units that were never used, at the top. Neighbouring free spans are always one span, whatever
 * their units are: the page map says it of each unit.
 *
 * Dirty memory goes back to the system in two ways: by decay, when a span has lain unused for the option decay_ms, and
 * by a cap, when live and dirty memory together are more than was live a moment ago, and an eighth. Both run in
 * span_decay only, which takes about 100 microseconds, or a millisecond for what is long overdue, and then leaves the
 * rest to the next call. A piece being purged is out of the indexes meanwhile, and the lock is not held across the
 * system call.
 *
 * In a window that is claimed (window.h) long free spans are not purged but unmapped, since their addresses count too.
 * They are claimed again when they are taken; addresses that another mapping has got meanwhile are lost.
 */
#ifndef MEMS_ENGINE_SPAN_H
#define MEMS_ENGINE_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "free_span.h"
#include "os/lock.h"
#include "window.h"

/* At least so many more descriptors of free spans there are than taken spans. */
#define SPANS_SPARE 4u

/*
 * All under `lock`. top = live_units + free_units + lost_units + the units of `purging`; dirty_units = the sum of
 * dirty_units over the free spans.
 *
 * Giving a span back must not fail, so the descriptors of free spans are made when spans are taken: between two taken
 * spans lies at most one free one, or two beside the one that is being purged, so `descriptors` >= taken + SPANS_SPARE
 * always suffices.
 */
struct spans {
    struct lock lock;
    struct free_span_index fresh;
    struct free_span_index dirty; /* those with dirty_units */
    struct list aging;
    struct span purging; /* units that a thread is giving back to the system, one at a time; 0 units: none */
    struct list spare;   /* descriptors that describe nothing, by their `age` */
    size_t descriptors;
    size_t taken; /* spans of slabs and large blocks, and lost ones */
    size_t top;   /* units below it have been part of a span */
    size_t live_units;
    size_t free_units;
    size_t dirty_units;
    size_t unmapped_units; /* of the free ones */
    size_t lost_units;
    size_t lost_spans;
    uint64_t now_ms;         /* the coarse clock when it was looked at last */
    size_t peak;             /* the most live units in this period of decay_ms */
    size_t peak_before;      /* and in the one before it */
    uint64_t period_ms;      /* when this period began, by the coarse clock */
    _Atomic uint64_t purges; /* pieces given back to the system; read without the lock (relaxed) */
    uint64_t purged_units;
    size_t renewals;           /* how often memory may still be mapped anew */
    _Atomic uint32_t decay_ms; /* written under the lock; heaps read it without (relaxed) */
    _Atomic uint64_t due_ms;   /* when a dirty span is to be purged next; read without the lock (relaxed) */
};

/* due_ms while no span is dirty. */
#define SPANS_NEVER UINT64_MAX

extern struct spans spans;

/* The engine's start. */
void spans_start(uint32_t decay_ms);

/* How long dirty spans are kept, those of the moment included. */
void spans_set_decay(uint32_t decay_ms);

/*
 * Takes `units` units, the address of the first a multiple of `align` units (a power of two), for the user whose
 * descriptor is `span`: fills that in, points the units at it and sets their page map entries to `entry`, all under the
 * lock, so that a forked child finds every unit's state whole. *zero tells whether all of it reads as zero. False when
 * there is no room.
 */
bool span_take(struct span *span, size_t units, size_t align, uint32_t entry, bool *zero);

/* The same from dirty spans alone, of at most `most` units, so that the process's memory does not grow. */
bool span_take_dirty(struct span *span, size_t units, size_t most, size_t align, uint32_t entry);

/* Whether that would succeed for so many units, if nobody else takes them first. */
bool span_dirty_fits(size_t units, size_t most);

/* Gives all units of a span back; the descriptor stays the caller's. No system call. */
void span_give(const struct span *span);

/* The same for a span that the program has advised or locked (advice.h): what it has set does not outlive the span, if
 * the system allows. */
void span_give_advised(const struct span *span);

/* The same for what has lain unused since `since_ms`, by the coarse clock; it is to be purged next. */
void span_give_aged(const struct span *span, uint64_t since_ms);

/* Lengthens a span in place to `units` units, at the expense of free ones behind it. False when they are not free. */
bool span_grow(struct span *span, size_t units, uint32_t entry);

/* Shortens a span in place to `units` units. */
void span_shrink(struct span *span, size_t units);

/* Takes units out of use for good, whose addresses another mapping has got. */
void span_lose(const struct span *span);

/* How often memory has been given back to the system. */
static inline uint64_t span_purges(void) {
    return atomic_load_explicit(&spans.purges, memory_order_relaxed);
}

/* Whether there are dirty spans that will be old enough some time. */
static inline bool spans_age(void) {
    return atomic_load_explicit(&spans.due_ms, memory_order_relaxed) != SPANS_NEVER;
}

/* To be called on slow paths with no lock held, with the time by the coarse clock: gives dirty spans that are old
 * enough, or too many, back to the system. Bounded: what remains is due at the next call. */
void span_decay(uint64_t now_ms);

/* Gives so many units of dirty memory back to the system, the oldest, as far as that is quick. */
void span_purge(size_t units);

/* Gives every dirty span back to the system; the bytes of it. */
size_t span_purge_all(void);

/* In a window that is claimed: gives up the addresses of free units, and of those that were never used. */
void spans_unmap(void);

/* Frees the descriptors of free spans that are not needed to give every span back. */
void spans_trim_descriptors(void);

/* The free span that holds a unit whose entry says that it is free. Takes no lock: for reports, which may be made under
 * any; where others change the window meanwhile the answer may be stale or NULL. O(units). */
const struct free_span *span_around(size_t unit);

/* In a forked child: what other threads were purging is free again, and dirty. */
void spans_recover(void);

/* In every forked child: there new mappings never join those that are inherited, so few are made. */
void spans_forked(void);

#endif
