/*
 * holding.h - how much memory the heap holds, and how much it may hold (the options limit and limit_soft).
 *
 * It holds what may be resident: units that are live, dirty or being purged, and huge blocks. Fresh units and the
 * engine's tables do not count. Memory is counted before it is used, and until it has gone back to the system. All
 * functions may be called with any lock held, and take none.
 */
#ifndef MEMS_ENGINE_HOLDING_H
#define MEMS_ENGINE_HOLDING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* All relaxed: each is a number by itself, and who acts on one looks again. SIZE_MAX: no limit. */
struct holding {
    _Atomic size_t held; /* bytes */
    _Atomic size_t hard; /* more is never held */
    _Atomic size_t soft;
    _Atomic size_t attend_at; /* what is held when somebody is to see to it */
    _Atomic bool pressed;     /* that has been passed */
    _Atomic bool told;        /* the user has heard of it, and it has not been much less since */
};

extern struct holding holding;

/* Sets the limits; 0: none. soft 0 is seven eighths of hard. */
void holding_set(size_t hard, size_t soft);

/* Takes bytes. False, and nothing taken, when that would pass the hard limit. */
bool holding_take(size_t bytes);

/* Takes what cannot be refused. */
void holding_add(size_t bytes);

/* Gives bytes back. */
void holding_give(size_t bytes);

static inline size_t holding_held(void) {
    return atomic_load_explicit(&holding.held, memory_order_relaxed);
}

static inline size_t holding_soft(void) {
    return atomic_load_explicit(&holding.soft, memory_order_relaxed);
}

/* Whether there is a limit. */
static inline bool holding_limited(void) {
    return holding_soft() != SIZE_MAX;
}

/* Whether more is held than when somebody last saw to it. */
static inline bool holding_pressed(void) {
    return atomic_load_explicit(&holding.pressed, memory_order_relaxed);
}

/* Somebody has seen to it: again when a part more is held, or the soft limit is passed again. Whether the user is to
 * hear that it is still passed. */
bool holding_attended(void);

#endif
