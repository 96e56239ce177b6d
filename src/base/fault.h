/*
 * fault.h - ends a program that misused the heap: one line on standard error, then abort().
 *
 *   mems: OPERATION(ADDRESS): PROBLEM: STATE [thread TID]
 *   mems: free(0x7f52a0c00240): double free: slot 12 of a 48-byte slab, free [thread 4711]
 *
 * Allocates nothing, and writes the line with one write(2). Defined in os, which can write.
 */
#pragma once

#include <stdbool.h>

#include "fmt.h"

/* operation: the function called; state: what the address is, or NULL. Text beyond FAULT_LINE bytes is cut, but never
 * the thread. Callable with any lock held, and in signal handlers. */
#define FAULT_LINE 512
_Noreturn void fault(const char *operation, const void *address, const char *problem, const char *state);

/* After a report: abort(), an instruction that traps (so no handler of SIGABRT runs), or the process continues at its
 * own risk. Relaxed: set at the start, or by mems_option_set. */
enum fault_ending { FAULT_ABORTS, FAULT_REPORTS, FAULT_TRAPS };
void fault_set_ending(enum fault_ending ending);

/* Like fault(), but returns if the process is to continue, or if `ends` is false. */
void fault_tell(const char *operation, const void *address, const char *problem, const char *state, bool ends);

/* The line up to STATE, for a heap whose user receives its fault reports. */
static inline void fault_describe(struct fmt *line, const char *operation, const void *address, const char *problem,
                                  const char *state) {
    fmt_format(line, "mems: %s(%p): %s", operation, address, problem);
    if (state != NULL) {
        fmt_format(line, ": %s", state);
    }
}

/* Our own state is wrong: "mems: internal error: FILE:LINE: CONDITION [thread TID]". */
_Noreturn void fault_internal(const char *file, int line, const char *condition);

/* Debug builds check what release builds rely on. */
#ifdef MEMS_DEBUG
#define ASSERT(condition) ((condition) ? (void)0 : fault_internal(__FILE__, __LINE__, #condition))
#else
#define ASSERT(condition) ((void)sizeof(!(condition)))
#endif
