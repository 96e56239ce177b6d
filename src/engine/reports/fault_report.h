/* fault_report.h - ends a program that passed a pointer which is not a live block of this heap. The report says what
 * the address is (base/fault.h has its form). Only the front, the floors from this one on, reports faults, with no lock
 * held; lower floors answer "not live". */
#pragma once

#include <stddef.h>

#include "base/compiler.h"
#include "engine/slabs/lookup.h"
#include "engine/tables/live_map.h"

/* Reports why `address` cannot be freed (or used) by `operation`, and ends the program. With on_fault=report this
 * function and those below return, and the operation must do nothing. */
COLD void fault_report(const char *operation, const void *address);

/* The same for a live block whose size is not the one that the caller gave. */
COLD void fault_report_size(const char *operation, const void *address, size_t claimed);

/* For faults after which the operation cannot continue. */
_Noreturn COLD void fault_report_end(const char *operation, const void *address);

/* The block that starts at an address that a user passed to `operation`; otherwise a fault, and then BLOCK_OUTSIDE. */
struct block fault_unless_live(const char *operation, const void *address);

/* Reports a suspect block found below the front (live_suspect). At the end of each slow path, with no lock held. */
static inline void fault_if_suspect(void) {
    void *suspect = atomic_load_explicit(&live_suspect_block, memory_order_relaxed);
    if (UNLIKELY(suspect != NULL)) {
        live_suspect(NULL);
        fault_report("free", suspect);
    }
}
