#include "huge_pages.h"

#include "base/bits.h"
#include "os/os.h"

_Atomic bool huge_pages_enabled;

static _Atomic size_t populated; /* relaxed: statistics */
static bool were_due;            /* see huge_pages_were_due */

/* Other page sizes have huge pages of other sizes. */
void huge_pages_enable(bool enable) {
    atomic_store_explicit(&huge_pages_enabled, enable && os_page_size() == OS_PAGE, memory_order_relaxed);
}

size_t huge_pages_populated(void) {
    return (atomic_load_explicit(&populated, memory_order_relaxed) * HUGE_PAGE_UNITS) << UNIT_SHIFT;
}

static bool are_wanted(void) {
    return spans.live_units >= HUGE_PAGE_LIVE_UNITS && !window_is_claimed();
}

/* The first unit at or after `unit` that starts a huge page. */
static size_t next_start(size_t unit) {
    const size_t base = window.base >> UNIT_SHIFT;
    return round_up(base + unit, HUGE_PAGE_UNITS) - base;
}

size_t huge_pages_top(size_t end) {
    return are_wanted() ? next_start(end) : end;
}

struct span huge_pages_due(const struct free_span *free, size_t first, size_t units) {
    if (!are_wanted() || free->dirty_units != 0 || units > HUGE_PAGE_BLOCK_UNITS) {
        return (struct span){0};
    }
    size_t from = next_start(first);
    if (from > first && from >= free->span.first + HUGE_PAGE_UNITS) {
        from -= HUGE_PAGE_UNITS;
    }
    size_t end = next_start(first + units);
    if (end > (size_t)free->span.first + free->span.units) {
        end -= HUGE_PAGE_UNITS;
    }
    were_due |= from < end;
    return (struct span){.first = (uint32_t)from, .units = from < end ? (uint32_t)(end - from) : 0};
}

void huge_pages_populate(struct span due, size_t first) {
    const size_t bytes = (size_t)due.units << UNIT_SHIFT;
    if (os_huge_pages(window_address(due.first), bytes, true) != 0) {
        return;
    }
    for (size_t unit = due.first; unit < due.first + due.units; unit += HUGE_PAGE_UNITS) {
        *(volatile char *)window_address(max_size(unit, first)) = 0;
    }
    (void)os_huge_pages(window_address(due.first), bytes, false);
    atomic_fetch_add_explicit(&populated, due.units / HUGE_PAGE_UNITS, memory_order_relaxed);
}

bool huge_pages_were_due(void) {
    const bool were = were_due;
    were_due = false;
    return were;
}
