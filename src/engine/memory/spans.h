/* spans.h - counts of all spans; merging and splitting free ones; span_age.h says when these are purged. Adjacent free
 * spans are always merged: the page map tells which units are dirty. A partly dirty one is also in the aging list, and
 * keeps its place there when its bounds change. Call functions that name no lock with the lock of the spans held. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "engine/tables/window.h"
#include "free_span.h"
#include "os/lock.h"

/* Free-span descriptors kept beyond the number of taken spans. */
#define SPANS_SPARE 4u

/* All under `lock`. top = live_units + free_units + lost_units + the units of `purging`; dirty_units = the sum of
 * dirty_units over the free spans. Freeing a span must not fail, so free-span descriptors are made when spans are
 * taken. Between two taken spans there is at most one free span, or two if one in the middle is being purged, so
 * `descriptors` >= taken + SPANS_SPARE is enough. */
struct spans {
    struct lock lock;
    struct free_span_index fresh;
    struct free_span_index dirty; /* those with dirty_units */
    struct list aging;
    struct span purging; /* units that a thread is purging, one at a time; 0 units: none */
    struct list spare;   /* unused descriptors, by their `age` */
    size_t descriptors;
    size_t taken; /* spans of slabs and large blocks, and lost ones */
    size_t top;   /* units below it have been part of a span */
    size_t live_units;
    size_t free_units;
    size_t dirty_units;
    size_t lent_units;   /* purged and not taken again since */
    size_t kept_units;   /* those taken again, forgotten with time; as many dirty units are kept longer */
    size_t reused_units; /* dirty ones taken since reused_ms */
    uint64_t reused_ms;
    size_t unmapped_units;     /* of the free ones */
    _Atomic bool keeps_mapped; /* see spans_keep_mapped; read without the lock (relaxed) */
    size_t allowed_units;      /* see spans_allow */
    size_t lost_units;
    size_t lost_spans;
    uint64_t now_ms;         /* the coarse clock when it was last read */
    size_t peak;             /* the most live units in this period of decay_ms */
    size_t peak_before;      /* and in the one before it */
    uint64_t period_ms;      /* when this period began, by the coarse clock */
    _Atomic uint64_t purges; /* pieces purged; read without the lock (relaxed) */
    uint64_t purged_units;
    size_t renewals;           /* how many more times memory may be mapped anew */
    _Atomic uint32_t decay_ms; /* written under the lock; heaps read it without (relaxed) */
    _Atomic uint64_t due_ms;   /* when a dirty span is next to be purged; read without the lock (relaxed) */
};

/* due_ms while no span is dirty. */
#define SPANS_NEVER UINT64_MAX

/* The decay time with which free memory is kept: mallopt(M_TRIM_THRESHOLD, -1). */
#define SPANS_KEPT_MS UINT32_MAX

extern struct spans spans; /* in span_age.c */

void spans_start(uint32_t decay_ms);

/* Whether free units stay mapped, also in a claimed window: the process could not map them again. Takes the lock. */
void spans_keep_mapped(bool keep);

/* How much memory the process may have, if the window is claimed. Takes the lock. */
void spans_allow(size_t bytes);

static inline uint64_t span_purges(void) {
    return atomic_load_explicit(&spans.purges, memory_order_relaxed);
}

/* Whether any dirty span will become old enough. */
static inline bool spans_age(void) {
    return atomic_load_explicit(&spans.due_ms, memory_order_relaxed) != SPANS_NEVER;
}

/* The dirty units of a part of a free span. O(units) only where the span has both kinds. */
size_t spans_dirty_within(const struct free_span *free, size_t first, size_t units);

/* The free span that ends right before (starts at) a unit; NULL when there is none. */
struct free_span *spans_free_before(size_t unit);
struct free_span *spans_free_from(size_t unit);

/* Ensures that another span can be taken, and later freed without failing. */
bool spans_descriptors_suffice(void);

/* Frees first .. first + units - 1, whose entries say which units are dirty, and merges them with free neighbours. The
 * merged span is as old as its largest dirty part, so a small piece does not change when a large one decays. An `aged`
 * one becomes the oldest of all. */
void spans_release(size_t first, size_t units, size_t dirty_units, uint64_t since_ms, bool aged);

/* Takes first .. first + units - 1 out of a free span. Returns whether they are all fresh. */
bool spans_carve(struct free_span *free, size_t first, size_t units);

/* Takes a free span out of its index so that it may change. Then settle it, or discard its descriptor. */
void spans_lift(struct free_span *free);

/* Gives `free`, which is in no index, the units first .. first + units - 1, dirty only before dirty_end, and puts it
 * into an index. With no units, it becomes a spare descriptor. */
void spans_settle(struct free_span *free, size_t first, size_t units, size_t dirty_units, size_t dirty_end);
void spans_discard(struct free_span *free);

/* Frees the descriptors that are not needed to free every span. Takes the lock. */
void spans_trim_descriptors(void);

/* The free span that contains a unit whose entry says that it is free. Takes no lock, because reports may be made under
 * any lock; if others change the window meanwhile, the answer may be stale or NULL. O(units). */
const struct free_span *span_around(size_t unit);
