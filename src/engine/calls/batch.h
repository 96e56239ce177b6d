/* batch.h - several blocks in one call, and the real sizes of blocks. */
#pragma once

#include <stddef.h>

/* What a request of `size` gets; `size` if that is impossible. */
size_t good_size(size_t size);

/* A block of good_size(size) bytes, also stored in *usable (may be NULL); NULL if there is no memory. */
void *alloc_at_least(size_t size, size_t *usable);

/* Stores up to `count` live blocks and returns how many. If fewer, errno is ENOMEM. */
size_t batch_alloc(size_t size, size_t count, void **blocks);

/* Frees blocks, each like fast_free. */
void batch_free(const char *operation, void *const *blocks, size_t count);
