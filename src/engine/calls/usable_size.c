/* usable_size.c - how many bytes of a block its user may write. */
#include "base/bits.h"
#include "base/compiler.h"
#include "engine/engine.h"
#include "engine/heaps/heap.h"
#include "engine/reports/fault_report.h"
#include "engine/slabs/lookup.h"
#include "harden_resize.h"
#include "os/os.h"

size_t engine_usable_size(const char *operation, const void *block) {
    if (block == NULL) {
        return 0;
    }
    if (UNLIKELY(heaps.harden != HARDEN_OFF)) {
        return harden_usable_size(operation, block);
    }
    unsigned size_class = lookup_slot_class(block);
    if (LIKELY(size_class < SIZE_CLASSES)) {
        return size_classes[size_class].size;
    }
    const size_t requested = lookup_large_requested(block);
    if (LIKELY(requested != 0)) {
        return round_up(requested, OS_PAGE);
    }
    const struct block found = fault_unless_live(operation, block);
    return found.kind != BLOCK_OUTSIDE ? found.size : 0;
}
