/* confine.c - the program is about to limit its address space or data (setrlimit), or to lock its memory (mlockall):
 * the heap gives up reserved address space that is not in use. */
#include "base/bits.h"
#include "engine/engine.h"
#include "engine/heaps/heap.h"
#include "engine/memory/huge.h"
#include "engine/memory/span.h"
#include "engine/root/root.h"
#include "engine/tables/metadata.h"
#include "engine/tables/window.h"
#include "engine/upkeep/trim.h"
#include "os/os.h"
#include "os/process.h"

static bool is_beyond(size_t has, size_t free, size_t limit) {
    return has > free && has - free > limit;
}

/* Whether the process exceeds a limit also without the heap's free memory. Unknown counts as no. */
static bool exceeds(size_t addresses, size_t data) {
    if (addresses == SIZE_MAX && data == SIZE_MAX) {
        return false;
    }
    struct os_usage usage;
    os_usage(&usage);
    lock_take(&spans.lock);
    const size_t free = (spans.free_units - spans.unmapped_units) << UNIT_SHIFT;
    lock_give(&spans.lock);
    return is_beyond(usage.mapped, free, addresses) || is_beyond(usage.data, free, data);
}

/* Without limits, it makes only the system calls that malloc may make. */
static void give_way(size_t addresses, size_t data) {
    /* Frees memory that heaps keep. */
    if (root_ready()) {
        spans_keep_mapped(true);
        upkeep_reclaim_all(heap_or_null());
    }
    /* Delays a concurrent start, which looks for limits itself, but does not see a lock on future memory. */
    lock_take(&mems_root.lock);
    lock_take(&heaps.lock);
    lock_take(&spans.lock);
    lock_take(&metadata.lock);
    const size_t units = window.units_area.accessible >> UNIT_SHIFT;
    window_confine((heaps_made() + 1) * sizeof *window.heaps, max_size(metadata.used, units * METADATA_OF_UNIT));
    lock_give(&metadata.lock);
    lock_give(&spans.lock);
    lock_give(&heaps.lock);
    if (root_ready()) {
        spans_keep_mapped(exceeds(addresses, data));
        spans_unmap();
    }
    lock_give(&mems_root.lock);
}

void engine_confine_to(size_t addresses, size_t data) {
    if (mems_root.options.confine != TOGGLE_OFF && process_is_own()) {
        spans_allow(min_size(addresses, data));
        give_way(addresses, data);
    }
}

void engine_confine(void) {
    engine_confine_to(os_address_limit(), os_data_limit());
}

void engine_save_locked(void) {
    if (mems_root.options.confine != TOGGLE_OFF && process_is_own()) {
        huge_be_exact();
    }
}

bool engine_confine_if_refused(void) {
    void *probe;
    if (!root_ready() || window_is_claimed() || mems_root.options.confine == TOGGLE_OFF) {
        return false;
    }
    if (os_map(HUGE_MIN, OS_PAGE, &probe) == 0) {
        os_unmap(probe, HUGE_MIN);
        return false;
    }
    spans_allow(0);
    give_way(SIZE_MAX, SIZE_MAX);
    return window_is_claimed();
}

bool engine_make_room(void) {
    return engine_confine_if_refused() || (window_is_claimed() && upkeep_trim(heap_or_null()) != 0);
}
