#include "good_size.h"

#include <stdint.h>

#include "base/bits.h"
#include "engine/root/root.h"
#include "fast_path.h"

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

void *alloc_at_least(size_t size, size_t *usable) {
    const size_t good = good_size(size);
    void *block = fast_alloc(good);
    if (block != NULL && usable != NULL) {
        *usable = good;
    }
    return block;
}
