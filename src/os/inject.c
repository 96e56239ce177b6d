#include "inject.h"

#ifdef MEMS_FAULT_INJECTION

#include <stdatomic.h>

/* Calls first..first + count - 1 of a kind fail. Everything is seq_cst: tests need no speed. */
static struct {
    _Atomic uint64_t calls;
    _Atomic uint64_t first;
    _Atomic uint64_t count;
    _Atomic int error;
} injections[OS_CALLS];

void os_inject(enum os_call call, uint64_t after, uint64_t count, int error) {
    atomic_store(&injections[call].count, 0);
    atomic_store(&injections[call].error, error);
    atomic_store(&injections[call].first, atomic_load(&injections[call].calls) + after);
    atomic_store(&injections[call].count, count);
}

void os_inject_clear(void) {
    for (int call = 0; call < OS_CALLS; call++) {
        atomic_store(&injections[call].count, 0);
    }
}

uint64_t os_inject_calls(enum os_call call) {
    return atomic_load(&injections[call].calls);
}

int os_injected(enum os_call call) {
    uint64_t number = atomic_fetch_add(&injections[call].calls, 1);
    uint64_t first = atomic_load(&injections[call].first);
    bool fails = number >= first && number - first < atomic_load(&injections[call].count);
    return fails ? atomic_load(&injections[call].error) : 0;
}

static _Atomic uint64_t injected_ms;

void os_inject_clock(uint64_t ms) {
    atomic_store(&injected_ms, ms);
}

uint64_t os_injected_ms(void) {
    return atomic_load(&injected_ms);
}

#endif
