/*
 * clock.h - the clocks of the engine in the hands of a test: what is idle, due or late then depends on the test alone,
 * and not on how fast the machine is.
 */
#pragma once

#include <stdint.h>

#include "os/os.h"

/* The clock stands still, for all threads. */
static inline void clock_stop(void) {
    os_inject_clock(os_coarse_ms());
}

/* It has stood still, and now shows some milliseconds more. */
static inline void clock_advance(uint32_t ms) {
    os_inject_clock(os_coarse_ms() + ms);
}
