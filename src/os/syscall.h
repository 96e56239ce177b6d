/* syscall.h - system calls without the C library. A preloaded library may have taken over any of libc's names, even
 * syscall(), and may allocate when called; but our calls are made with a heap's lock held, or during an allocation.
 * They are no cancellation points and leave errno alone. */
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

/* Up to six arguments of type long (pointers by syscall_address). Returns minus an errno on failure. */
#define SYSCALL(...) SYSCALL_7(__VA_ARGS__, 0L, 0L, 0L, 0L, 0L, 0L)
#define SYSCALL_7(number, a, b, c, d, e, f, ...) syscall_enter(number, a, b, c, d, e, f)

static inline long syscall_address(const volatile void *pointer) {
    return (long)(uintptr_t)pointer;
}

/* 0 if the call succeeded. */
static inline int syscall_error(long result) {
    return (unsigned long)result > -4096UL ? (int)-result : 0;
}
