#include "large.h"

#include "base/compiler.h"
#include "live_map.h"
#include "metadata.h"
#include "os/os.h"
#include "page_map.h"
#include "zeros.h"

static void set_size(struct large *large, size_t size) {
    atomic_store_explicit(&large->requested, size, memory_order_relaxed);
}

static struct large *large_create(size_t size, size_t alignment, bool *zero) {
    struct large *large = metadata_alloc(sizeof *large);
    if (large == NULL) {
        return NULL;
    }
    set_size(large, size);
    if (!span_take(&large->span, large_units(size), alignment > UNIT ? alignment >> UNIT_SHIFT : 1, UNIT_LARGE, zero)) {
        metadata_free(large, sizeof *large);
        return NULL;
    }
    return large;
}

void large_destroy(struct large *large) {
    if (UNLIKELY(large_advised(large))) {
        span_give_advised(&large->span);
    } else {
        span_give(&large->span);
    }
    metadata_free(large, sizeof *large);
}

void *large_alloc(size_t size, size_t alignment, bool *zero) {
    struct large *large = large_create(size, alignment, zero);
    return large != NULL ? large_reuse(large, size) : NULL;
}

void *large_reuse(struct large *large, size_t size) {
    void *block = window_address(large->span.first);
    set_size(large, size);
    large->watched = false;
    atomic_store_explicit(&large->advised, false, memory_order_relaxed);
    live_set(block);
    return block;
}

/* True for exactly one caller: the others freed the block twice, or never had it. */
static bool claim_death(const void *block) {
    uint64_t bit = live_bit_of(block);
    /* Acquire and release: the loser of a race reads the descriptor for its report only. */
    return (atomic_fetch_and_explicit(&live_word_of(block)->live, ~bit, memory_order_acq_rel) & bit) != 0;
}

struct large *large_end(void *block) {
    return claim_death(block) ? large_of(block) : NULL;
}

bool large_resize(void *block, size_t size) {
    struct large *large = large_of(block);
    size_t units = large_units(size);
    if (units > large->span.units && !span_grow(&large->span, units, UNIT_LARGE)) {
        return false;
    }
    /* After growing and before shrinking, so that statistics never see a size beyond the span. */
    set_size(large, size);
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
