#include "huge_pages.h"

#include "base/bits.h"
#include "os/os.h"

_Atomic bool huge_pages_enabled;

static _Atomic size_t brought; /* stretches; relaxed: statistics */
static bool left;              /* see huge_pages_left */

/* Other page sizes have huge pages of other sizes. */
void huge_pages_enable(bool enable) {
    atomic_store_explicit(&huge_pages_enabled, enable && os_page_size() == OS_PAGE, memory_order_relaxed);
}

size_t huge_pages_brought(void) {
    return (atomic_load_explicit(&brought, memory_order_relaxed) * STRETCH_UNITS) << UNIT_SHIFT;
}

static bool are_to_be_brought(void) {
    return spans.live_units >= STRETCH_LIVE_UNITS && !window_is_claimed();
}

/* The first unit at or after `unit` that starts a stretch. */
static size_t stretch_from(size_t unit) {
    const size_t base = window.base >> UNIT_SHIFT;
    return round_up(base + unit, STRETCH_UNITS) - base;
}

size_t huge_pages_top(size_t end) {
    return are_to_be_brought() ? stretch_from(end) : end;
}

struct span huge_pages_due(const struct free_span *free, size_t first, size_t units) {
    if (!are_to_be_brought() || free->dirty_units != 0 || units > STRETCH_BLOCK_UNITS) {
        return (struct span){0};
    }
    size_t from = stretch_from(first);
    if (from > first && from >= free->span.first + STRETCH_UNITS) {
        from -= STRETCH_UNITS;
    }
    size_t end = stretch_from(first + units);
    if (end > (size_t)free->span.first + free->span.units) {
        end -= STRETCH_UNITS;
    }
    left |= from < end;
    return (struct span){.first = (uint32_t)from, .units = from < end ? (uint32_t)(end - from) : 0};
}

void huge_pages_bring(struct span due, size_t first) {
    const size_t bytes = (size_t)due.units << UNIT_SHIFT;
    if (os_huge_pages(window_address(due.first), bytes, true) != 0) {
        return;
    }
    for (size_t unit = due.first; unit < due.first + due.units; unit += STRETCH_UNITS) {
        *(volatile char *)window_address(max_size(unit, first)) = 0;
    }
    (void)os_huge_pages(window_address(due.first), bytes, false);
    atomic_fetch_add_explicit(&brought, due.units / STRETCH_UNITS, memory_order_relaxed);
}

bool huge_pages_left(void) {
    const bool were = left;
    left = false;
    return were;
}
