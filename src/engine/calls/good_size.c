#include "good_size.h"

#include <stdint.h>

#include "base/bits.h"
#include "engine/root/root.h"
#include "engine/slabs/lookup.h"
#include "engine/tables/page_map.h"
#include "engine/tables/size_class.h"
#include "engine/tables/window.h"
#include "fast_path.h"
#include "harden_resize.h"

/* Whether the thread's next block of this class will be medium. */
static bool makes_medium(unsigned size_class) {
    return root_medium() && heap_mine != &heap_none && heap_mine->classes[size_class].share == 0;
}

size_t good_size(size_t size) {
    if (LIKELY(size <= SMALL_MAX && root_ready())) {
        return size_classes[size_class_of(size)].size;
    }
    if (size > PTRDIFF_MAX - UNIT || !root_start()) {
        return size;
    }
    if (size <= SMALL_MAX) {
        return size_classes[size_class_of(size)].size;
    }
    if (size <= MEDIUM_MAX && makes_medium(size_class_of_medium(size))) {
        return size_classes[size_class_of_medium(size)].size;
    }
    return round_up(size, OS_PAGE);
}

/* The most bytes that the block may be freed with. Samples and large blocks record what was requested. */
static size_t size_to_free(const void *block, size_t size) {
    if (UNLIKELY(heaps.harden != HARDEN_OFF)) {
        return harden_usable_size("mems_alloc_at_least", block);
    }
    const unsigned size_class =
        size <= SMALL_MAX ? entry_class(page_map_load(window_unit(block))) : lookup_slot_class(block);
    return size_class < SIZE_CLASSES ? size_classes[size_class].size : size;
}

void *alloc_at_least(size_t size, size_t *usable) {
    void *block = fast_alloc(size);
    if (block != NULL && usable != NULL) {
        *usable = size_to_free(block, size);
    }
    return block;
}
