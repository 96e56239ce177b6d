/* random.c - random numbers, even where the kernel refuses them. */
#include <stdatomic.h>
#include <sys/random.h>

#include "base/compiler.h"
#include "clock.h"
#include "os.h"
#include "syscall.h"

/* splitmix64's finaliser: each bit of x flips each bit of the result with probability one half. */
static uint64_t mix(uint64_t x) {
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

/* No entropy yet, or no permission. Relaxed: no two calls may share a number, in any order. */
static COLD uint64_t gathered(void) {
    static _Atomic uint64_t calls;
    uint64_t number = atomic_fetch_add_explicit(&calls, 1, memory_order_relaxed);
    uint64_t code = (uintptr_t)&os_random;
    uint64_t stack = (uintptr_t)&number;
    struct timespec now = clock_read(CLOCK_MONOTONIC);
    uint64_t ns = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
    return mix(mix(mix(mix(ns) ^ code) ^ stack) + os_thread_id() + (number << 32));
}

uint64_t os_random(void) {
    uint64_t value = 0;
    if (SYSCALL(SYS_getrandom, syscall_address(&value), (long)sizeof value, GRND_NONBLOCK) == (long)sizeof value) {
        return value;
    }
    return gathered();
}
