/*
 * clock.h - the kernel's clocks.
 */
#ifndef MEMS_OS_CLOCK_H
#define MEMS_OS_CLOCK_H

#include <time.h>

/* What a clock shows; 0 where a sandbox forbids to ask. */
struct timespec clock_read(clockid_t clock);

#endif
