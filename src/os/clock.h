/* clock.h - the kernel's clocks. */
#pragma once

#include <time.h>

/* 0 if a sandbox forbids the call. */
struct timespec clock_read(clockid_t clock);
