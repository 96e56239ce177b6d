/* heap_limit.h - what happens when the heap exceeds its own limits (holding.h). */
#pragma once

#include "base/compiler.h"
#include "engine/tables/holding.h"

struct heap;

/* The soft limit is exceeded: trims the heap. If that is not enough, reports it on standard error and to the program's
 * handler (engine_on_limit), once until the heap is well below the limit again. With no lock held; by one thread at a
 * time, and not within the handler. */
COLD void heap_limit_trim(struct heap *heap);

/* In a forked child, where no thread is at it. */
void heap_limit_recover(void);

/* At the end of an allocation that may have taken memory; `heap` is the thread's, or NULL. */
static inline void heap_limit_attend(struct heap *heap) {
    if (UNLIKELY(holding_pressed())) {
        heap_limit_trim(heap);
    }
}
