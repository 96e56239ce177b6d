/* trim.h - all heaps give up what they keep: before an allocation fails, when the program asks, or when memory is
 * short. */
#pragma once

#include <stddef.h>

struct heap;

/* Flushes and reclaims everything that heaps keep, the calling thread's heap first (NULL: it has none). */
void upkeep_reclaim_all(struct heap *mine);

/* The same, and purges all free memory. Returns the bytes purged. */
size_t upkeep_trim(struct heap *mine);

/* Determines how much memory the process may have, which bounds the budget, and whether memory is short: then trims
 * all heaps. Reads kernel files. */
void upkeep_ask(void);
