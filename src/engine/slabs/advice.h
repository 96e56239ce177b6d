/* advice.h - the program's own madvise and mlock on pages of its blocks. Their effects stay with the addresses until
 * these are mapped anew: a later user would have unwanted huge pages, or memory that a forked child does not get. So
 * spans with advised blocks are marked, and mapped anew when they are freed (span_give_advised); a slot's, with its
 * whole slab. */
#pragma once

#include <stddef.h>

/* Marks the spans of the window that overlap these bytes. */
void advice_note(const void *start, size_t size);
