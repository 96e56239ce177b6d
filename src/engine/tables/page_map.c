#include "page_map.h"

void page_map_fill(size_t first, size_t units, uint32_t entry) {
    for (size_t unit = first; unit < first + units; unit++) {
        page_map_store(unit, entry);
    }
}

size_t page_map_count(size_t first, size_t units, uint32_t entry) {
    size_t count = 0;
    for (size_t unit = first; unit < first + units; unit++) {
        count += page_map_load(unit) == entry;
    }
    return count;
}
