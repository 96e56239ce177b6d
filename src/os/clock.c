#include "clock.h"

#include <stdatomic.h>

#include "inject.h"
#include "os.h"
#include "syscall.h"
#include "vdso.h"

#if defined(__aarch64__)
#define VDSO_CLOCK "__kernel_clock_gettime"
#else
#define VDSO_CLOCK "__vdso_clock_gettime"
#endif

typedef int clock_function(clockid_t clock, struct timespec *now);

static int ask_kernel(clockid_t clock, struct timespec *now) {
    return (int)SYSCALL(SYS_clock_gettime, clock, syscall_address(now));
}

/* The vDSO takes nanoseconds, a system call a hundred times that. Relaxed: threads that look it up at once find the
 * same function. */
static clock_function *fastest(void) {
    static _Atomic(clock_function *) known;
    clock_function *function = atomic_load_explicit(&known, memory_order_relaxed);
    if (function == NULL) {
        uintptr_t found = vdso_find(VDSO_CLOCK);
        function = found != 0 ? (clock_function *)found : ask_kernel;
        atomic_store_explicit(&known, function, memory_order_relaxed);
    }
    return function;
}

struct timespec clock_read(clockid_t clock) {
    struct timespec now = {0, 0};
    return fastest()(clock, &now) == 0 ? now : (struct timespec){0, 0};
}

void os_sleep_ms(uint32_t ms) {
    const struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    (void)SYSCALL(SYS_nanosleep, syscall_address(&time), 0L);
}

uint64_t os_coarse_ms(void) {
    const uint64_t injected = os_injected_ms();
    if (injected != 0) {
        return injected;
    }
    struct timespec now = clock_read(CLOCK_MONOTONIC_COARSE);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

uint64_t os_fine_us(void) {
    const uint64_t injected = os_injected_ms();
    if (injected != 0) {
        return injected * 1000;
    }
    struct timespec now = clock_read(CLOCK_MONOTONIC);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}
