/* heaps.c - the table of all heaps (heap.h); below the files that keep it. */
#include "heap.h"
#include "ranks.h"

struct heaps heaps = {.lock = LOCK_INIT(LOCK_HEAPS)};
