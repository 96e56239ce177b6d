/* confine.c - the program is about to limit its address space or data (setrlimit), or to lock its memory (mlockall):
 * the heap gives up reserved address space that is not in use. */
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

/* Whether the process exceeds the limit also without the heap's free memory. Unknown counts as no. */
static bool exceeds(size_t limit, bool data) {
    struct os_usage usage;
    os_usage(&usage);
    const size_t has = data ? usage.data : usage.mapped;
    lock_take(&spans.lock);
    const size_t free = (spans.free_units - spans.unmapped_units) << UNIT_SHIFT;
    lock_give(&spans.lock);
    return has > free && has - free > limit;
}

void engine_confine_to(size_t limit, bool data) {
    if (mems_root.options.confine == TOGGLE_OFF || !process_is_own()) {
        return;
    }
    /* Frees memory that heaps keep. */
    if (root_ready()) {
        spans_keep_mapped(true);
        upkeep_reclaim_all(heap_mine != &heap_none ? heap_mine : NULL);
    }
    /* Delays a concurrent start, which looks for limits itself, but does not see a lock on future memory. */
    lock_take(&mems_root.lock);
    lock_take(&heaps.lock);
    lock_take(&spans.lock);
    lock_take(&metadata.lock);
    window_confine();
    lock_give(&metadata.lock);
    lock_give(&spans.lock);
    lock_give(&heaps.lock);
    if (root_ready()) {
        spans_keep_mapped(exceeds(limit, data));
        spans_unmap();
    }
    lock_give(&mems_root.lock);
}

void engine_confine(void) {
    engine_confine_to(SIZE_MAX, false);
}

bool engine_confine_if_refused(void) {
    void *probe;
    if (!root_ready() || window_is_claimed()) {
        return false;
    }
    if (os_map(HUGE_MIN, OS_PAGE, &probe) == 0) {
        os_unmap(probe, HUGE_MIN);
        return false;
    }
    engine_confine();
    return window_is_claimed();
}

bool engine_make_room(void) {
    return engine_confine_if_refused() ||
           (window_is_claimed() && upkeep_trim(heap_mine != &heap_none ? heap_mine : NULL) != 0);
}
