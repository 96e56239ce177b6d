/* span_age.h - how long dirty spans are kept, and how many: when the oldest one is due to be purged. Call functions
 * that name no lock with the lock of the spans held. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "spans.h"

/* The minimum of spans.kept_units. */
#define KEPT_MIN_UNITS ((size_t)16)

/* Sets how long dirty spans are kept, including existing ones. Takes the lock. */
void spans_set_decay(uint32_t decay_ms);

/* If the current period of decay_ms is over, remembers its peak and begins a new one with the units live now. */
void spans_begin_period(uint64_t now_ms);

/* Dirty units beyond this number are due, whatever their age. */
size_t spans_dirty_cap(void);

/* Call it before units are taken. If clean ones were dirty before, they were purged too early. */
void spans_note_taken(size_t dirty_units, size_t clean_units);

/* Whether this many more units would reach the recent peak. Takes the lock. */
bool spans_would_peak(size_t units);

/* Sets spans.due_ms. Call it after each change of the dirty spans. */
void spans_set_due(void);

struct free_span *spans_oldest_dirty(void);

/* When the last part of the span was freed, by the coarse clock in 64 bits. */
uint64_t spans_freed_ms(const struct free_span *free);

/* When the oldest dirty span is purged. */
uint64_t spans_due_ms(const struct free_span *oldest);
