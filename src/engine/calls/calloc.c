#include "calloc.h"

#include <string.h>

#include "alloc.h"
#include "engine/engine.h"
#include "engine/memory/large.h"
#include "engine/memory/span.h"
#include "engine/memory/zeros.h"
#include "engine/modes/harden.h"
#include "engine/tables/canary.h"
#include "engine/tables/page_map.h"
#include "engine/tables/size_class.h"
#include "engine/tables/window.h"
#include "fast_path.h"
#include "supply.h"

/* Clears the whole slot, because a program may use all that malloc_usable_size returns. A sampled block is zero
 * already, and not a slot: see UNIT_SAMPLES. */
static void *zeroed_slot(size_t bytes) {
    void *block = fast_alloc(bytes);
    if (LIKELY(block != NULL)) {
        memset(block, 0, size_classes[entry_class(page_map_load(window_unit(block)))].cleared);
    }
    return block;
}

/* The memory of a block outside the slabs, given alloc_big's answer. */
static enum zeros_memory memory_of(const void *block, bool zero) {
    if (!zero) {
        return ZEROS_USED;
    }
    return page_map_holds(block) && span_purges() != 0 ? ZEROS_PURGED : ZEROS_FRESH;
}

void calloc_zero(void *block, size_t bytes, bool zero) {
    if (zeros_make(block, round_up(bytes, OS_PAGE), memory_of(block, zero), heap_watches(heap_mine)) &&
        page_map_holds(block)) {
        large_watch(block);
    }
    if (UNLIKELY(!root_plain())) {
        canary_write(block, bytes, round_up(bytes, OS_PAGE)); /* it may have been cleared too */
    }
}

void *engine_alloc_zeroed(size_t count, size_t size) {
    size_t bytes;
    if (UNLIKELY(__builtin_mul_overflow(count, size, &bytes))) {
        return out_of_memory();
    }
    if (bytes <= SMALL_MAX) {
        return zeroed_slot(bytes);
    }
    bool zero;
    void *block = alloc_big(bytes, 1, &zero);
    if (block != NULL) {
        calloc_zero(block, bytes, zero);
    }
    return block;
}
