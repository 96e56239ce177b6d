#include "large.h"

#include "base/compiler.h"
#include "engine/tables/canary.h"
#include "engine/tables/metadata.h"
#include "harden_guards.h"
#include "huge.h"

static size_t units_of_alignment(size_t alignment) {
    return alignment > UNIT ? alignment >> UNIT_SHIFT : 1;
}

/* Larger blocks are cleared by purging their pages. */
#define LARGE_CLEARED ((size_t)128 << 10)

static size_t guard_behind;

void large_fence_ends(size_t guard) {
    guard_behind = guard;
}

size_t large_units_fenced(size_t bytes) {
    return guard_behind == 0 ? large_units(bytes) : large_units(round_up(bytes, OS_PAGE) + guard_behind);
}

static char *start_of(const struct large *large) {
    return window_address(large->span.first);
}

static size_t bytes_of(const struct large *large) {
    return (size_t)large->span.units << UNIT_SHIFT;
}

static void fence_end(struct large *large) {
    const size_t size = large_size(large);
    if (large->fence == FENCE_NONE && guard_behind != 0 && size < bytes_of(large) &&
        guard_set(start_of(large) + size, bytes_of(large) - size)) {
        large->fence = FENCE_END;
    }
}

/* False if the system refuses: then the span must not be used again. */
static bool unfence(struct large *large) {
    const size_t size = large_size(large);
    const bool cleared = large->fence == FENCE_NONE  ? true
                         : large->fence == FENCE_ALL ? guard_clear_freed(start_of(large), bytes_of(large))
                                                     : guard_clear(start_of(large) + size, bytes_of(large) - size);
    large->fence = cleared ? FENCE_NONE : large->fence;
    return cleared;
}

bool large_fence_all(struct large *large) {
    if (large->fence == FENCE_END && !unfence(large)) {
        return false;
    }
    if (guard_set_freed(start_of(large), bytes_of(large))) {
        large->fence = FENCE_ALL;
    }
    return large->fence == FENCE_ALL;
}

/* closed: pages may not be writable. */
static void clear(void *start, size_t size, bool closed) {
    if ((size <= LARGE_CLEARED && !closed) || os_purge(start, size) != 0 || !os_purge_zeroes()) {
        zero_write(start, size);
    }
}

void large_clear(struct large *large) {
    clear(start_of(large), large_size(large), large_advised(large));
}

/* A descriptor for a block of `size` bytes, or NULL. It is complete but for its span, which shows it to other
 * threads. */
static struct large *describe(size_t size) {
    struct large *large = metadata_alloc(sizeof *large);
    if (large != NULL) {
        large->fence = FENCE_NONE;
        large->sample = NULL;
        large->arena = 0;
        large->excess = NULL;
        atomic_store_explicit(&large->ample, false, memory_order_relaxed);
        atomic_store_explicit(&large->advised, false, memory_order_relaxed);
        large_set_size(large, size);
    }
    return large;
}

/* If the span was `taken`, makes it a live block; otherwise frees the descriptor. */
static void *begin(struct large *large, size_t size, bool taken) {
    if (!taken) {
        metadata_free(large, sizeof *large);
        return NULL;
    }
    fence_end(large);
    return large_reuse(large, size);
}

void *large_alloc(size_t size, size_t alignment, bool *zero) {
    struct large *large = describe(size);
    return large == NULL ? NULL
                         : begin(large, size,
                                 span_take(&large->span, large_units_fenced(size), units_of_alignment(alignment),
                                           UNIT_PART, zero));
}

void *large_alloc_dirty(size_t size, size_t alignment, size_t most) {
    struct large *large = describe(size);
    return large == NULL ? NULL
                         : begin(large, size,
                                 span_take_dirty(&large->span, large_units_fenced(size), most,
                                                 units_of_alignment(alignment), UNIT_PART));
}

static void retire(struct large *large, uint64_t freed_ms, bool purge) {
    if (UNLIKELY(!unfence(large))) {
        span_lose(&large->span);
    } else if (UNLIKELY(large_advised(large))) {
        span_give_advised(&large->span);
    } else if (purge || large->span.units >= HUGE_MIN >> UNIT_SHIFT) {
        span_give_purged(&large->span); /* as a huge block's mapping would be */
    } else {
        span_give_aged(&large->span, freed_ms);
    }
    metadata_free(large, sizeof *large);
}

void large_retire(struct large *large, uint64_t freed_ms) {
    retire(large, freed_ms, false);
}

void large_destroy_moved(struct large *large) {
    span_give_moved(&large->span);
    metadata_free(large, sizeof *large);
}

void large_destroy(struct large *large) {
    large_retire(large, UINT64_MAX);
}

void large_destroy_purged(struct large *large) {
    retire(large, UINT64_MAX, true);
}

/* --- Headroom ----------------------------------------------------------------------------------------------------- */

/* Headroom of at least this size has no memory until used. Smaller headroom may keep old pages, which saves page
 * faults. */
#define HEADROOM_PURGED ((size_t)1 << 20)

static size_t ample_blocks; /* number of live ample blocks; under the spans' lock */

/* Under the spans' lock. Release: pairs with the acquire of large_is_ample. */
static void set_ample(struct large *large, bool ample) {
    ample_blocks += (size_t)ample - (size_t)large_is_ample(large);
    atomic_store_explicit(&large->ample, ample, memory_order_release);
}

void large_keep_headroom(void *block, size_t size, bool purge) {
    struct large *large = large_of(block);
    const size_t used = round_up(size, os_page_size());
    const size_t rest = ((size_t)large->span.units << UNIT_SHIFT) - used;
    if (purge && rest >= HEADROOM_PURGED) {
        (void)os_purge((char *)block + used, rest);
    }
    lock_take(&spans.lock);
    large_set_size(large, size);
    set_ample(large, true);
    lock_give(&spans.lock);
}

COLD void large_end_headroom(struct large *large) {
    lock_take(&spans.lock);
    set_ample(large, false);
    lock_give(&spans.lock);
}

/* Grows a block into its headroom. If that is too small, or the block shrinks, it loses its headroom: false. */
static bool grow_into_headroom(struct large *large, size_t size) {
    lock_take(&spans.lock);
    const bool fits = size >= large_requested(large) && large_units(size) <= large->span.units;
    if (fits) {
        large_set_size(large, size);
        large->watched = false;
    } else {
        set_ample(large, false);
    }
    lock_give(&spans.lock);
    return fits;
}

/* The units of the span that starts at a unit below the top. */
static size_t units_from(size_t unit) {
    const uint32_t entry = page_map_load(unit);
    const bool has_descriptor = entry_is_slab(entry) || entry == UNIT_LARGE || entry_is_free(entry);
    return has_descriptor ? window.spans[unit]->units : 1;
}

void larges_cut_headroom(void) {
    lock_take(&spans.lock);
    for (size_t unit = 0, units; ample_blocks != 0 && unit < spans.top; unit += units) {
        units = units_from(unit);
        if (page_map_load(unit) == UNIT_LARGE) {
            struct large *large = CONTAINER_OF(window.spans[unit], struct large, span);
            if (large_is_ample(large)) {
                span_cut(&large->span, large_units(large_requested(large)));
                set_ample(large, false);
            }
        }
    }
    lock_give(&spans.lock);
}

/* --- Resizing ----------------------------------------------------------------------------------------------------- */

COLD void large_narrow(struct large *large) {
    const size_t excess = large->span.units - large_units(large_requested(large));
    atomic_fetch_sub_explicit(large->excess, (uint32_t)excess, memory_order_relaxed);
    large->excess = NULL;
}

bool large_resize(void *block, size_t size) {
    struct large *large = large_of(block);
    size_t units = large_units(size);
    if (UNLIKELY(large_is_ample(large)) && grow_into_headroom(large, size)) {
        return true;
    }
    if (large->excess != NULL) {
        large_narrow(large);
    }
    if (units > large->span.units && !span_grow(&large->span, units, UNIT_PART)) {
        return false;
    }
    /* After the span grows and before it shrinks, so that statistics never see a size beyond it. */
    large_set_size(large, size);
    large->watched = false;
    if (units >= large->span.units) {
        return true;
    }
    /* Advice would stay on the freed end, so the block keeps those addresses, without their memory. */
    if (UNLIKELY(large_advised(large))) {
        size_t kept = units << UNIT_SHIFT;
        (void)os_purge((char *)block + kept, ((size_t)large->span.units << UNIT_SHIFT) - kept);
    } else {
        span_shrink(&large->span, units);
    }
    return true;
}

/* Moves the fence to the block's new end. False if the block does not keep its units. */
static bool move_fence(struct large *large, size_t size) {
    char *start = start_of(large);
    const size_t before = large_size(large);
    const size_t end = round_up(size, OS_PAGE);
    if (large->fence != FENCE_END || end + guard_behind > bytes_of(large) ||
        large_units_fenced(size) < large->span.units / 2) {
        return false;
    }
    return end == before ||
           (end > before ? guard_shorten(start + before, end - before) : guard_lengthen(start + end, before - end));
}

bool large_resize_fenced(void *block, size_t size) {
    struct large *large = large_of(block);
    const size_t units = large_units_fenced(size);
    large->watched = false;
    if (move_fence(large, size)) {
        large_set_size(large, size);
        return true;
    }
    if (!unfence(large)) {
        return false;
    }
    if (units > large->span.units && !span_grow(&large->span, units, UNIT_PART)) {
        fence_end(large);
        return false;
    }
    const size_t before = large_size(large);
    large_set_size(large, size);
    if (large_size(large) < before) {
        clear(start_of(large) + large_size(large), before - large_size(large), large_advised(large));
    }
    if (units < large->span.units && !large_advised(large)) {
        span_shrink(&large->span, units);
    }
    fence_end(large);
    return true;
}

void large_lose_ended(struct large *large) {
    span_lose(&large->span);
    metadata_free(large, sizeof *large);
}

void large_lose(void *block) {
    large_lose_ended(large_end(block));
}
