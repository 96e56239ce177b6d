/* move_pages.h - moves a large block's contents by moving its pages. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* From this size on, realloc moves pages. */
#define MOVE_PAGES_MIN ((size_t)1 << 20)

/* Moves pages of a large or huge block to a large one. False if they must be copied; *lost: `to` is gone. Pages already
 * at `to` are dropped, and none are left behind, so a growing block never has its memory twice. Only into the window: a
 * separate mapping would be split and could not be resized. */
bool move_pages(void *from, void *to, size_t bytes, bool *lost);

/* How much to allocate for a large block that must move to grow. One that grows in small steps will probably keep
 * growing, and untouched headroom costs only addresses; if these are limited, it gets none. One that grows by more than
 * a third moves rarely, and with headroom it would not fit into the places that others have left. */
size_t with_headroom(size_t old_size, size_t size);
