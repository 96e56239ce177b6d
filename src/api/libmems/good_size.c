/* good_size.c - mems.h: the real sizes of blocks. */
#include "engine/calls/good_size.h"

#include "base/compiler.h"
#include "mems.h"

EXPORT size_t mems_good_size(size_t size) {
    return good_size(size);
}

EXPORT void *mems_alloc_at_least(size_t size, size_t *usable) {
    return alloc_at_least(size, usable);
}
