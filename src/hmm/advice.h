/* advice.h - ends what the program's madvise and mprotect have set for whole pages of a block together with the block.
 * Only for the heap behind malloc. Advice on huge pages stays, because nothing takes it back. */
#pragma once

#include <stddef.h>

#include "base/compiler.h"
#include "block.h"
#include "config.h"

#if HMM_BREAK && __STDC_HOSTED__

#include <stdatomic.h>
#include <stdbool.h>

struct HmmHeap;

/* Whether advice may be in force anywhere. Relaxed: a block's user had it before whoever frees the block. */
extern _Atomic bool hmm_advice_given __attribute__((visibility("hidden")));

/* What mprotect does, as advice: pages may no longer be read and written, or may be again. */
#define HMM_PROTECTED (-1)
#define HMM_OPENED (-2)

/* Even if it failed: a part may be done. No lock: signal handlers may call madvise. */
void hmm_advised(const void *memory, size_t size, int advice);

/* For a used block that is about to become free. Under the lock. */
void hmm_advice_end(const struct HmmHeap *heap, struct block *block);

static inline void hmm_advice_end_if_any(const struct HmmHeap *heap, struct block *block) {
    if (UNLIKELY(atomic_load_explicit(&hmm_advice_given, memory_order_relaxed))) {
        hmm_advice_end(heap, block);
    }
}

#else

#define hmm_advice_end_if_any(heap, block) ((void)(heap), (void)(block))

#endif
