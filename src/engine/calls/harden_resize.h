/* harden_resize.h - realloc, malloc_usable_size and the sized frees for hardened blocks; see engine.h. */
#pragma once

#include <stddef.h>

/* Like engine_realloc, for a block. */
void *harden_realloc(const char *operation, void *block, size_t size);

/* The exact size with harden=full; with harden=light that of large and huge blocks, and otherwise the slot's. */
size_t harden_usable_size(const char *operation, const void *block);

/* With harden=full: like engine_free_sized; the size must be the one last requested. */
void harden_free_sized(const char *operation, void *block, size_t size, size_t alignment);
