/* calloc.h - blocks that read as zero. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* For a block of alloc_big or alloc_large, which said `zero`. */
void calloc_zero(void *block, size_t bytes, bool zero);
