/* good_size.h - the real sizes of blocks. */
#pragma once

#include <stddef.h>

/* The size of a block for `size` bytes that is not a sample, without `harden`; `size` if there is none. */
size_t good_size(size_t size);

/* A block that may be freed with any size from `size` to *usable (`usable` may be NULL); NULL if there is no memory. */
void *alloc_at_least(size_t size, size_t *usable);
