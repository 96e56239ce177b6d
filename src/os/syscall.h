/* syscall.h - system calls without the C library. Any name of the C library, even syscall(), may have been taken over
 * by a preloaded library, which may allocate when called. Our calls are made with a heap's lock held, or in the middle
 * of an allocation, so they go straight to the kernel. They are not cancellation points and leave errno alone. */
#pragma once

#include <stdint.h>
#include <sys/syscall.h>

#if defined(__x86_64__)
#include "syscall_x86_64.h"
#elif defined(__aarch64__)
#include "syscall_aarch64.h"
#else
#error "no system call for this processor: add a syscall_PROCESSOR.h"
#endif

/* Up to six arguments of type long (pointers by syscall_address). Returns the result: minus an errno on failure. */
#define SYSCALL(...) SYSCALL_7(__VA_ARGS__, 0L, 0L, 0L, 0L, 0L, 0L)
#define SYSCALL_7(number, a, b, c, d, e, f, ...) syscall_enter(number, a, b, c, d, e, f)

/* A pointer, even to const, as an argument. */
static inline long syscall_address(const volatile void *pointer) {
    return (long)(uintptr_t)pointer;
}

/* The errno of a result; 0 if the call succeeded. */
static inline int syscall_error(long result) {
    return (unsigned long)result > -4096UL ? (int)-result : 0;
}
