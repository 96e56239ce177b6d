/* fault_report.h - ends a program that passed a pointer which is not a live block, and says what the address is
 * (base/fault.h has the form). Only the front, the floors from this one on, reports faults, with no lock held; lower
 * floors answer "not live". */
#pragma once

#include <stddef.h>

#include "base/compiler.h"
#include "engine/slabs/lookup.h"
#include "engine/tables/live_map.h"

/* `operation` cannot free (or use) the address. With on_fault=report, this function and those below return, and the
 * operation must do nothing. */
COLD void fault_report(const char *operation, const void *address);

/* A live block does not have the size that the caller gave. */
COLD void fault_report_size(const char *operation, const void *address, size_t claimed);

/* A live block cannot have been requested with the alignment that the caller gave. Returns unless `ends`. */
COLD void fault_report_alignment(const char *operation, const void *address, size_t claimed, bool ends);

/* For operations that cannot continue. */
_Noreturn COLD void fault_report_end(const char *operation, const void *address);

/* The block that starts at a user's address; otherwise a fault, and BLOCK_OUTSIDE. */
struct block fault_unless_live(const char *operation, const void *address);

/* Reports a block found below the front (live_suspect). At the end of each slow path, with no lock held. */
static inline void fault_if_suspect(void) {
    void *suspect = atomic_load_explicit(&live_suspect_block, memory_order_relaxed);
    if (UNLIKELY(suspect != NULL)) {
        live_suspect(NULL);
        fault_report("free", suspect);
    }
}
