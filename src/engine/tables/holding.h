/* holding.h - how much memory the heap holds and may hold (the options limit and limit_soft). It holds memory that may
 * be resident: units that are live, dirty or being purged, and huge blocks; not fresh units, nor the engine's tables.
 * Memory counts from before it is used until the system has it back. These functions take no lock and may be called
 * with any held. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* All relaxed: the numbers are independent, and whoever acts on one checks again. SIZE_MAX: no limit. */
struct holding {
    _Atomic size_t held; /* bytes */
    _Atomic size_t hard; /* the maximum of held */
    _Atomic size_t soft;
    _Atomic size_t attend_at; /* at this amount upkeep is due */
    _Atomic bool pressed;     /* that has been exceeded */
    _Atomic bool told;        /* reported, and `held` has not been much less since */
};

extern struct holding holding;

/* 0: none. A soft limit of 0 means seven eighths of the hard one. */
void holding_set(size_t hard, size_t soft);

/* False, with nothing taken, if that would exceed the hard limit. */
bool holding_take(size_t bytes);

/* Takes bytes that cannot be refused. */
void holding_add(size_t bytes);

/* Gives bytes back. */
void holding_give(size_t bytes);

static inline size_t holding_held(void) {
    return atomic_load_explicit(&holding.held, memory_order_relaxed);
}

static inline size_t holding_soft(void) {
    return atomic_load_explicit(&holding.soft, memory_order_relaxed);
}

static inline bool holding_limited(void) {
    return holding_soft() != SIZE_MAX;
}

/* Whether the heap holds enough for upkeep to be due. */
static inline bool holding_pressed(void) {
    return atomic_load_explicit(&holding.pressed, memory_order_relaxed);
}

/* Upkeep was done: it is due again when the heap holds a further part, or exceeds the soft limit again. Returns whether
 * to report that the limit is still exceeded. */
bool holding_attended(void);
