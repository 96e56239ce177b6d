/*
 * memory.h - how much memory this process may still take.
 */
#pragma once

#include <stdint.h>

/* Bytes that are free in the machine and in the control groups, according to the kernel; UINT64_MAX: not known. */
uint64_t memory_available(void);

/* The bytes of its data and stacks, as RLIMIT_DATA counts them. */
uint64_t memory_own(void);
