/* span_claim.h - makes units usable: at the top of the window, and where free ones were unmapped. The caller holds the
 * lock of the spans. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "spans.h"

/* In a claimed window, free units are unmapped in runs longer than this fraction of the window: each run splits a
 * mapping, and the kernel allows a process some 65,000 mappings. */
#define UNMAP_SHARE 4096u

/* Adds units at the top to the window's use, as a fresh free span that ends at `end`. NULL when that fails. */
struct free_span *span_claim_top(size_t end);

/* If another mapping lies at the window's end: frees the accessible units and skips those behind. False: impossible. */
bool span_claim_beyond(size_t units);

/* Claims the unmapped ones of these units. 0, ENOMEM, or EEXIST: a unit is lost, and the free span has changed. */
int span_claim(struct free_span *free, size_t first, size_t units);
