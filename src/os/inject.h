/*
 * inject.h - os_inject as the system calls see it.
 */
#ifndef MEMS_OS_INJECT_H
#define MEMS_OS_INJECT_H

#include "os.h"

#ifdef MEMS_FAULT_INJECTION
/* Counts a call and returns 0, or the error with which it must fail. */
int os_injected(enum os_call call);
#else
#define os_injected(call) 0
#endif

#endif
