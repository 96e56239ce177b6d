/*
 * clock.h - the kernel's clocks.
 */
#ifndef MEMS_OS_CLOCK_H
#define MEMS_OS_CLOCK_H

#include <time.h>

/* The clock's time; 0 if a sandbox forbids the call. */
struct timespec clock_read(clockid_t clock);

#endif
