/* span_claim.h - makes units usable: at the top of the window, and where free ones were unmapped. The caller holds the
 * lock of the spans. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "spans.h"

/* In a claimed window, free units are unmapped in runs longer than this fraction of the window: each run splits a
 * mapping, and the kernel allows a process some 65,000 mappings. */
#define UNMAP_SHARE 4096u

/* Makes units at the top, up to `end`, part of a fresh free span that ends there. NULL if that fails. */
struct free_span *span_claim_top(size_t end);

/* If another mapping lies at the window's end: makes the accessible units free, and skips `units` behind them. False if
 * that is impossible. */
bool span_claim_beyond(size_t units);

/* Claims the unmapped ones of these units. 0; ENOMEM; or EEXIST: a unit was lost, and the free span has changed. */
int span_claim(struct free_span *free, size_t first, size_t units);
