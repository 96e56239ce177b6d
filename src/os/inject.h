/* inject.h - os_inject as seen by the system calls, and os_inject_clock by the clock. */
#pragma once

#include "os.h"

#ifdef MEMS_FAULT_INJECTION
/* Counts a call. Returns 0, or the error with which it must fail. */
int os_injected(enum os_call call);

/* What the coarse clock shows; 0: what the kernel says. */
uint64_t os_injected_ms(void);
#else
#define os_injected(call) 0
#define os_injected_ms() 0
#endif
