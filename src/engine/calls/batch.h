/* batch.h - several blocks in one call, and the real sizes of blocks. */
#pragma once

#include <stddef.h>

/* The bytes of a block for a request of `size` bytes; `size` if there can be none. */
size_t good_size(size_t size);

/* A block of good_size(size) bytes, stored in *usable unless that is NULL; NULL if there is no memory. */
void *alloc_at_least(size_t size, size_t *usable);

/* Stores up to `count` live blocks of `size` bytes in blocks[0], ...; returns how many. If fewer: errno is ENOMEM. */
size_t batch_alloc(size_t size, size_t count, void **blocks);

/* Frees blocks, each like fast_free. */
void batch_free(const char *operation, void *const *blocks, size_t count);
