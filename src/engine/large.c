#include "large.h"

#include "base/compiler.h"
#include "block.h"
#include "heap.h"
#include "metadata.h"
#include "os/os.h"
#include "zeros.h"

static size_t units_for(size_t bytes) {
    return (bytes + UNIT - 1) >> UNIT_SHIFT;
}

static void set_size(struct large *large, size_t size) {
    atomic_store_explicit(&large->size, round_up(size, OS_PAGE), memory_order_relaxed);
}

static struct large *large_create(size_t size, size_t alignment, bool *zero) {
    struct large *large = metadata_alloc(sizeof *large);
    if (large == NULL) {
        return NULL;
    }
    set_size(large, size);
    if (!span_take(&large->span, units_for(size), alignment > UNIT ? alignment >> UNIT_SHIFT : 1, UNIT_LARGE, zero)) {
        metadata_free(large, sizeof *large);
        return NULL;
    }
    return large;
}

void large_destroy(struct large *large) {
    span_give(&large->span);
    metadata_free(large, sizeof *large);
}

void *large_alloc(size_t size, size_t alignment, bool *zero) {
    /* heap_none's reserve is empty. */
    struct large *large = alignment <= UNIT ? reserve_take_large(heap_mine, units_for(size)) : NULL;
    if (large != NULL) {
        set_size(large, size);
        *zero = false;
    } else {
        large = large_create(size, alignment, zero);
    }
    if (large == NULL) {
        return NULL;
    }
    large->watched = false;
    void *block = window_address(large->span.first);
    live_set(block);
    return block;
}

/* Ends a block's life. True for exactly one caller: the others freed it twice, or never had it. */
static bool claim_death(const void *block) {
    uint64_t bit = UINT64_C(1) << live_bit(block) % BITMAP_WORD_BITS;
    /* Acquire and release: the loser of a race reads the descriptor for its report only. */
    return atomic_fetch_and_explicit(&window.live_map[live_bit(block) / BITMAP_WORD_BITS], ~bit, memory_order_acq_rel) &
           bit;
}

void large_free(void *block) {
    if (UNLIKELY(!claim_death(block))) {
        block_fault("free", block);
    }
    struct large *large = large_of(block);
    if (large->watched && heap_mine != &heap_none) {
        zeros_learn(&heap_mine->zeros, block, large_size(large));
    }
    if (heap_mine == &heap_none || !reserve_put_large(heap_mine, large)) {
        large_destroy(large);
    }
}

bool large_resize(void *block, size_t size) {
    struct large *large = large_of(block);
    size_t units = units_for(size);
    if (units > large->span.units && !span_grow(&large->span, units, UNIT_LARGE)) {
        return false;
    }
    /* After growing and before shrinking, so that statistics never see a size beyond the span. */
    set_size(large, size);
    large->watched = false;
    if (units < large->span.units) {
        span_shrink(&large->span, units);
    }
    return true;
}

void large_lose(void *block) {
    struct large *large = large_of(block);
    claim_death(block);
    span_lose(&large->span);
    metadata_free(large, sizeof *large);
}
