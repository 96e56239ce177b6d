/* inject.h - os_inject as seen by the system calls. */
#pragma once

#include "os.h"

#ifdef MEMS_FAULT_INJECTION
/* Counts a call. Returns 0, or the error with which it must fail. */
int os_injected(enum os_call call);
#else
#define os_injected(call) 0
#endif
