/*
 * memory.h - how much memory this process may still take.
 */
#pragma once

#include <stdint.h>

/* Free bytes of the machine and the control groups, according to the kernel; UINT64_MAX: unknown. */
uint64_t memory_available(void);

/* This process's data and stacks, as RLIMIT_DATA counts them. */
uint64_t memory_own(void);
