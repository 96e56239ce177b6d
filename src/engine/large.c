#include "large.h"

#include "base/compiler.h"
#include "metadata.h"

static size_t units_of_alignment(size_t alignment) {
    return alignment > UNIT ? alignment >> UNIT_SHIFT : 1;
}

void *large_alloc(size_t size, size_t alignment, bool *zero) {
    struct large *large = metadata_alloc(sizeof *large);
    if (large == NULL) {
        return NULL;
    }
    if (!span_take(&large->span, large_units(size), units_of_alignment(alignment), UNIT_PART, zero)) {
        metadata_free(large, sizeof *large);
        return NULL;
    }
    return large_reuse(large, size);
}

void *large_alloc_dirty(size_t size, size_t alignment, size_t most) {
    struct large *large = metadata_alloc(sizeof *large);
    if (large == NULL) {
        return NULL;
    }
    if (!span_take_dirty(&large->span, large_units(size), most, units_of_alignment(alignment), UNIT_PART)) {
        metadata_free(large, sizeof *large);
        return NULL;
    }
    return large_reuse(large, size);
}

void large_retire(struct large *large, uint64_t freed_ms) {
    if (UNLIKELY(large_advised(large))) {
        span_give_advised(&large->span);
    } else {
        span_give_aged(&large->span, freed_ms);
    }
    metadata_free(large, sizeof *large);
}

void large_destroy(struct large *large) {
    large_retire(large, UINT64_MAX);
}

bool large_resize(void *block, size_t size) {
    struct large *large = large_of(block);
    size_t units = large_units(size);
    if (units > large->span.units && !span_grow(&large->span, units, UNIT_PART)) {
        return false;
    }
    /* After growing and before shrinking, so that statistics never see a size beyond the span. */
    large_set_size(large, size);
    large->watched = false;
    if (units >= large->span.units) {
        return true;
    }
    /* What was advised would stay with the end that is given back: then its addresses stay, without their memory. */
    if (UNLIKELY(large_advised(large))) {
        size_t kept = units << UNIT_SHIFT;
        (void)os_purge((char *)block + kept, ((size_t)large->span.units << UNIT_SHIFT) - kept);
    } else {
        span_shrink(&large->span, units);
    }
    return true;
}

void large_lose(void *block) {
    struct large *large = large_end(block);
    span_lose(&large->span);
    metadata_free(large, sizeof *large);
}
