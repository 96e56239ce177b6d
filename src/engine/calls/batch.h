/* batch.h - several blocks in one call. */
#pragma once

#include <stddef.h>

/* Stores up to `count` live blocks and returns how many. If fewer, errno is ENOMEM. */
size_t batch_alloc(size_t size, size_t count, void **blocks);

/* Frees blocks, each like fast_free. */
void batch_free(const char *operation, void *const *blocks, size_t count);
