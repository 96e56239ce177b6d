/* harden_resize.h - realloc, malloc_usable_size, sized and aligned frees for hardened blocks; see engine.h. */
#pragma once

#include <stddef.h>

/* Like engine_realloc, for a block. */
void *harden_realloc(const char *operation, void *block, size_t size);

/* Exact with harden=full, and for large and huge blocks with harden=light; otherwise the slot's. */
size_t harden_usable_size(const char *operation, const void *block);

/* With harden=full, like engine_free_aligned: the alignment must lead to the block's class. */
void harden_free_aligned(const char *operation, void *block, size_t alignment);

/* With harden=full: the size must be the one last requested. */
void harden_free_sized(const char *operation, void *block, size_t size, size_t alignment);
