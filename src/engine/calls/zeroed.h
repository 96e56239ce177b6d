/* zeroed.h - blocks that read as zero. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Clears a block of `bytes` bytes from alloc_big or alloc_large; `zero` is what that said. */
void zeroed_make(void *block, size_t bytes, bool zero);
