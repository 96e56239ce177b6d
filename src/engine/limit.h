/*
 * limit.h - what happens when the heap passes its own limits (holding.h).
 */
#ifndef MEMS_ENGINE_LIMIT_H
#define MEMS_ENGINE_LIMIT_H

#include "base/compiler.h"
#include "holding.h"

struct heap;

/*
 * The soft limit has been passed: gives all free memory back to the system, and if more is held even so, says so, once
 * until it is less again: on standard error, and to the program's handler (engine_on_limit). With no lock held; by one
 * thread at a time, and not from within the handler.
 */
COLD void limit_relieve(struct heap *heap);

/* In a forked child: nobody is at it. */
void limit_recover(void);

/* To be called at the end of an allocation that may have taken memory; `heap` is the thread's, NULL: none. */
static inline void limit_attend(struct heap *heap) {
    if (UNLIKELY(holding_pressed())) {
        limit_relieve(heap);
    }
}

#endif
