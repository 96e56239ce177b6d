/*
 * fault.h - the end of a program that misused the heap: one line on standard error, then abort().
 *
 * The line is made without allocation and written by one write(2):
 *
 * Base asserts with it; writing a line and ending a process is up to os, which defines it.
 *
 *   mems: OPERATION(ADDRESS): PROBLEM: STATE [thread TID]
 *   mems: free(0x7f52a0c00240): double free: slot 12 of a 48-byte slab, free [thread 4711]
 */
#ifndef MEMS_BASE_FAULT_H
#define MEMS_BASE_FAULT_H

#include "fmt.h"

/*
 * operation: the function that was called; problem: what is wrong, in a few words; state: what the address is, or NULL,
 * which leaves it out. Text that would make the line longer than FAULT_LINE bytes is cut, but never the thread. Never
 * returns: abort() raises SIGABRT. May be called anywhere, with any lock held and in signal handlers.
 */
#define FAULT_LINE 512
_Noreturn void fault(const char *operation, const void *address, const char *problem, const char *state);

/* The line as far as STATE, without a newline: for a heap whose user reads its fault reports. */
static inline void fault_describe(struct fmt *line, const char *operation, const void *address, const char *problem,
                                  const char *state) {
    fmt_format(line, "mems: %s(%p): %s", operation, address, problem);
    if (state != NULL) {
        fmt_format(line, ": %s", state);
    }
}

/*
 * The end of a program in which our own state is wrong: "mems: internal error: FILE:LINE: CONDITION [thread TID]". Not
 * for users' mistakes.
 */
_Noreturn void fault_internal(const char *file, int line, const char *condition);

/* Debug builds prove what release builds rely on. */
#ifdef MEMS_DEBUG
#define ASSERT(condition) ((condition) ? (void)0 : fault_internal(__FILE__, __LINE__, #condition))
#else
#define ASSERT(condition) ((void)sizeof(!(condition)))
#endif

#endif
