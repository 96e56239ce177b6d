/*
 * advice.h - what the program sets for the pages of its blocks: madvise, mlock.
 *
 * It stays with the addresses until they are mapped anew; so a later user would have huge pages that nobody wants, or
 * memory that a forked child does not get. Spans whose blocks were advised are marked, and when they are given back,
 * new memory is mapped in their place (span_give_advised). A slab is given back as a whole: until then what was set for
 * one of its slots stays with the pages of this slot.
 */
#ifndef MEMS_ENGINE_ADVICE_H
#define MEMS_ENGINE_ADVICE_H

#include <stddef.h>

/* Marks the spans of the window that lie in these bytes, in part or in whole. */
void advice_note(const void *start, size_t size);

#endif
