/*
 * fault_report.h - the end of a program that passed a pointer which is not a live block of this heap.
 *
 * The report says what the address is (base/fault.h has its form). Only the front, alloc, free and realloc, reports
 * faults, and with no lock held: what is below answers "not live".
 */
#ifndef MEMS_ENGINE_FAULT_REPORT_H
#define MEMS_ENGINE_FAULT_REPORT_H

#include <stddef.h>

#include "base/compiler.h"
#include "live_map.h"
#include "lookup.h"

/* Ends the program with a report of why `address` cannot be freed (or used) by `operation`. */
_Noreturn COLD void fault_report(const char *operation, const void *address);

/* The same where the block is live, but not of the size that the caller says. */
_Noreturn COLD void fault_report_size(const char *operation, const void *address, size_t claimed);

/* The block that starts at an address that a user passed to `operation`; a fault if none lives there. */
struct block fault_unless_live(const char *operation, const void *address);

/* Reports what was found below the front (live_suspect). With no lock held, at the end of each slow path. */
static inline void fault_if_suspect(void) {
    void *suspect = atomic_load_explicit(&live_suspect_block, memory_order_relaxed);
    if (UNLIKELY(suspect != NULL)) {
        fault_report("free", suspect);
    }
}

#endif
