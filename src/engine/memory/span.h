/*
 * span.h - runs of units: taken for slabs and large blocks, freed, kept dirty for a while, purged.
 *
 * A free span is in one of two indexes (free_span.h): *fresh* if all of its units read as zero, *dirty* if some may
 * hold old data. A request takes a dirty span that fits, else a fresh one, else units at the top that were never used.
 * Adjacent free spans are always merged: the page map tells what each unit is.
 *
 * Dirty memory is purged by decay and by a cap. Decay: the span has been unused for decay_ms, or for a part of that if
 * the program does not seem to need it (span_age.c). The cap: live and dirty memory together exceed recent live memory
 * by more than an eighth. Both happen only in span_decay, which purges 2 MiB, or for a millisecond if memory is long
 * overdue, and leaves the rest to the next call. A piece being purged is in no index, and no lock is held during the
 * system call.
 *
 * Taking and freeing is in span.c, purging in span_purge.c, the top and claimed addresses in span_claim.c.
 *
 * In a claimed window (window.h), where addresses count too, long free spans are unmapped rather than purged, and
 * claimed again when they are taken. Addresses that another mapping has taken meanwhile are lost.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "spans.h"

/* Takes `units` units, the first at a multiple of `align` units (a power of two). Fills in `span`, the head of the
 * user's descriptor, points the units at it, and sets their page map entries to `entry`: all under the lock, so that a
 * forked child finds them consistent. *zero: all of it reads as zero. False if there is no room. */
bool span_take(struct span *span, size_t units, size_t align, uint32_t entry, bool *zero);

/* The same from dirty spans of at most `most` units only, so the process's memory does not grow. */
bool span_take_dirty(struct span *span, size_t units, size_t most, size_t align, uint32_t entry);

/* Whether span_take_dirty would succeed for this many units if no other thread took them first. */
bool span_dirty_fits(size_t units, size_t most);

/* Frees all units of a span; the descriptor remains the caller's. Makes no system call. */
void span_give(const struct span *span);

/* The same for a span that the program has advised or locked (advice.h); that ends if the system allows. */
void span_give_advised(const struct span *span);

/* The same, and the memory is purged at once. */
void span_give_purged(const struct span *span);

/* The same for a span whose pages have been moved away, so that it reads as zero. */
void span_give_moved(const struct span *span);

/* The same for a span unused since `since_ms`, by the coarse clock; it is purged next. */
void span_give_aged(const struct span *span, uint64_t since_ms);

/* Lengthens a span in place to `units` units, from the free ones behind it. False if those are not free. */
bool span_grow(struct span *span, size_t units, uint32_t entry);

/* Shortens a span in place to `units` units. */
void span_shrink(struct span *span, size_t units);

/* The same under the lock of the spans; does nothing if the span is not longer than that. */
void span_cut(struct span *span, size_t units);

/* Takes units out of use for good because another mapping has taken their addresses. */
void span_lose(const struct span *span);

/* Purges dirty spans that are old enough, or too many, as far as the bound allows. Call it on slow paths with no lock
 * held, with the time by the coarse clock. */
void span_decay(uint64_t now_ms);

/* Purges up to this many units of dirty memory, oldest first, while that is quick. */
void span_purge(size_t units);

/* Purges every dirty span. Returns their bytes. */
size_t span_purge_all(void);

/* In a claimed window: unmaps free units, and those that were never used. */
void spans_unmap(void);

/* In a forked child: units that other threads were purging become free and dirty again. */
void spans_recover(void);

/* In every forked child: new mappings never join inherited ones there, so only few are made. */
void spans_forked(void);
