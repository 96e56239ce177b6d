/*
 * span.h - runs of units: taken for slabs and large blocks, given back, kept dirty for a while, purged.
 *
 * Free spans lie in one of two indexes of bins: those of which every unit reads as zero (*fresh*), and those of which
 * some unit may still hold what its last user left (*dirty*). A request is served by a dirty span that fits, then by a
 * fresh one, then by units that were never used, at the top. Neighbouring free spans are always one span, whatever
 * their units are: the page map says it of each unit.
 *
 * Dirty memory goes back to the system in two ways: by decay, when a span has lain unused for the option decay_ms, and
 * by a cap, when live and dirty memory together are more than was live a moment ago, and an eighth. Both run on slow
 * paths only, on the thread that finds it due; a span being purged is out of the indexes meanwhile, and the lock is not
 * held across the system call.
 *
 * In a window that is claimed (window.h) long free spans are not purged but unmapped, since their addresses count too.
 * They are claimed again when they are taken; addresses that another mapping has got meanwhile are lost.
 */
#ifndef MEMS_ENGINE_SPAN_H
#define MEMS_ENGINE_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bins.h"
#include "base/list.h"
#include "os/lock.h"
#include "window.h"

/* The head of every descriptor: of a slab (slab.h), a large block (large.h) or a free span. Written under the lock. */
struct span {
    uint32_t first; /* unit */
    uint32_t units;
};

/* dirty_units = the units of the span whose entry is UNIT_DIRTY. In the bins of `dirty`, and on `aging`, iff not 0. */
struct free_span {
    struct span span;
    uint32_t dirty_units;
    struct bins_node node;
    struct list age;   /* in spans.aging, oldest first */
    uint64_t freed_ms; /* when its last part was given back, by the coarse clock */
};

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
    struct bins fresh;
    struct bins dirty;
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
    size_t peak;        /* the most live units in this period of decay_ms */
    size_t peak_before; /* and in the one before it */
    uint64_t period_ms; /* when this period began, by the coarse clock */
    uint64_t purges;    /* spans given back to the system */
    uint64_t purged_units;
    size_t renewals;           /* how often memory may still be mapped anew */
    _Atomic uint32_t decay_ms; /* written under the lock; heaps read it without (relaxed) */
    _Atomic uint64_t due_ms;   /* when the oldest dirty span will be old enough; read without the lock (relaxed) */
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

/* Gives all units of a span back, and dirty spans that are old enough to the system; the descriptor stays the caller's.
 */
void span_give(const struct span *span);

/* The same for a span that the program has advised or locked (advice.h): what it has set does not outlive the span, if
 * the system allows. */
void span_give_advised(const struct span *span);

/* Lengthens a span in place to `units` units, at the expense of free ones behind it. False when they are not free. */
bool span_grow(struct span *span, size_t units, uint32_t entry);

/* Shortens a span in place to `units` units. */
void span_shrink(struct span *span, size_t units);

/* Takes units out of use for good, whose addresses another mapping has got. */
void span_lose(const struct span *span);

/* Whether there are dirty spans that will be old enough some time. */
static inline bool spans_age(void) {
    return atomic_load_explicit(&spans.due_ms, memory_order_relaxed) != SPANS_NEVER;
}

/* To be called on slow paths, with the time by the coarse clock: gives dirty spans back that are old enough. */
void span_decay(uint64_t now_ms);

/* Gives so many units of dirty memory, or what there is, back to the system: the oldest. */
void span_purge(size_t units);

/* Gives every dirty span back to the system; the bytes of it. */
size_t span_purge_all(void);

/* In a window that is claimed: gives up the addresses of free units, and of those that were never used. */
void spans_unmap(void);

/* The free span that holds a unit whose entry says that it is free. Takes no lock: for reports, which may be made under
 * any; where others change the window meanwhile the answer may be stale or NULL. O(units). */
const struct free_span *span_around(size_t unit);

/* In a forked child: what other threads were purging is free again, and dirty. */
void spans_recover(void);

/* In every forked child: there new mappings never join those that are inherited, so few are made. */
void spans_forked(void);

#endif
