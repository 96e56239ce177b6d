/* batch.c - mems.h: batches. */
#include "engine/calls/batch.h"

#include "base/compiler.h"
#include "mems.h"

EXPORT size_t mems_alloc_batch(size_t size, size_t count, void **blocks) {
    return batch_alloc(size, count, blocks);
}

EXPORT void mems_free_batch(void *const *blocks, size_t count) {
    batch_free("mems_free_batch", blocks, count);
}
