/*
 * advice.h - the program's own madvise and mlock on pages of its blocks.
 *
 * The effects stay with the addresses until they are mapped anew, so a later user would have unwanted huge pages, or
 * memory that a forked child does not get. Spans with advised blocks are marked, and when they are freed, new
 * memory is mapped in their place (span_give_advised). A slab is freed as a whole; until then, the effects stay
 * with the pages of the slot.
 */
#pragma once

#include <stddef.h>

/* Marks the spans of the window that overlap these bytes. */
void advice_note(const void *start, size_t size);
