/*
 * syscall.h - system calls without the C library.
 *
 * Every name of the C library, syscall() included, may be that of a preloaded library: one that watches mappings, or
 * shifts clocks, and allocates when it is called. Ours may be called with a lock of the heap held, or by a thread that
 * is half way through an allocation. So they go straight to the kernel. They are no cancellation points either, and
 * leave errno alone.
 */
#ifndef MEMS_OS_SYSCALL_H
#define MEMS_OS_SYSCALL_H

#include <stdint.h>
#include <sys/syscall.h>

#if defined(__x86_64__)
#include "syscall_x86_64.h"
#elif defined(__aarch64__)
#include "syscall_aarch64.h"
#else
#error "no system call for this processor: add a syscall_PROCESSOR.h"
#endif

/* The arguments after the number, up to six, are integers of type long; see syscall_address for pointers. The result is
 * the kernel's: a failure is minus an errno. */
#define SYSCALL(...) SYSCALL_7(__VA_ARGS__, 0L, 0L, 0L, 0L, 0L, 0L)
#define SYSCALL_7(number, a, b, c, d, e, f, ...) syscall_enter(number, a, b, c, d, e, f)

/* A pointer, also to constants, as an argument. */
static inline long syscall_address(const volatile void *pointer) {
    return (long)(uintptr_t)pointer;
}

/* The errno of a result; 0 where the call has succeeded. */
static inline int syscall_error(long result) {
    return (unsigned long)result > -4096UL ? (int)-result : 0;
}

#endif
