/*
 * alloc_aligned.c - aligned_alloc and its kin. Where a block at a multiple of `alignment` comes from:
 *
 *   alignment up to GRANULE   as by malloc: each block starts at a granule
 *   both up to SMALL_MAX      a slot of the smallest class whose slots are all aligned (size_class_of_aligned)
 *   both below HUGE_MIN       a cached large block, if the alignment is at most UNIT; else a span with room for an
 *                             aligned block (find_in in memory/span.c)
 *   above                     a mapping (map_aligned in os/mapping.c)
 *
 * In the hardened modes, harden_alloc_aligned takes the same route, but its classes leave room for a canary.
 */
#include <stdint.h>

#include "alloc.h"
#include "engine/engine.h"
#include "fast_path.h"
#include "harden_alloc.h"
#include "supply.h"

void *engine_alloc_aligned(size_t alignment, size_t size) {
    return engine_alloc_aligned_as(ORIGIN_MALLOC, alignment, size);
}

void *engine_alloc_aligned_as(enum origin origin, size_t alignment, size_t size) {
    if (alignment <= GRANULE) {
        return origin == ORIGIN_MALLOC ? engine_alloc(size) : engine_alloc_as(origin, size);
    }
    if (size > PTRDIFF_MAX || alignment > PTRDIFF_MAX || size + alignment > PTRDIFF_MAX) {
        return out_of_memory();
    }
    if (UNLIKELY(!root_plain())) {
        if (!root_start()) {
            return out_of_memory();
        }
        if (!root_plain()) {
            return harden_alloc_aligned(alignment, size, origin);
        }
    }
    unsigned size_class = size_class_of_aligned(alignment, size);
    if (size_class < SIZE_CLASSES) {
        return alloc_of_class(size_class, size, alignment);
    }
    bool zero;
    return alloc_big(size ? size : 1, alignment, &zero);
}
