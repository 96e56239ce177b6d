/* trim.h - all heaps give up what they keep: before an allocation fails, on request, or when memory is short. */
#pragma once

#include <stddef.h>

struct heap;

/* Flushes and reclaims everything that heaps keep, the calling thread's heap first (NULL: it has none). */
void upkeep_reclaim_all(struct heap *mine);

/* The same, and purges all free memory. Returns the bytes purged. */
size_t upkeep_trim(struct heap *mine);

/* Finds out how much memory the process may have, and trims all heaps if memory is short. Reads kernel files. */
void upkeep_ask(void);
