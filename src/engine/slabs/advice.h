/* advice.h - the program's own madvise and mlock on pages of its blocks. The effects stay with the addresses until they
 * are mapped anew: a later user would have unwanted huge pages, or memory that a forked child does not get. So spans
 * with advised blocks are marked, and replaced by new memory when they are freed (span_give_advised); for a slot, that
 * is when its slab is. */
#pragma once

#include <stddef.h>

/* Marks the spans of the window that overlap these bytes. */
void advice_note(const void *start, size_t size);
