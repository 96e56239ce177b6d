/*
 * cortex_m.c - a bare Cortex-M: vectors, and the end by semihosting, which emulators and debuggers turn into their exit
 * status.
 */
#include <stdint.h>

#include "device.h"

enum { SYS_EXIT_EXTENDED = 0x20, APPLICATION_EXIT = 0x20026 };

void device_leave(int status) {
    const uint32_t arguments[] = {APPLICATION_EXIT, (uint32_t)status};
    register uint32_t operation __asm__("r0") = SYS_EXIT_EXTENDED;
    register const uint32_t *block __asm__("r1") = arguments;
    __asm__ __volatile__("bkpt 0xab" ::"r"(operation), "r"(block) : "memory");
    for (;;) {
    }
}

static void reset(void) {
    device_leave(device_work());
}

/* Any exception is an error, including the trap after an unhandled fault. */
static void exception(void) {
    device_leave(100);
}

extern uint32_t device_stack_end[]; /* cortex_m.ld */

struct vectors {
    void *stack;
    void (*handlers[15])(void);
};

__attribute__((section(".vectors"), used)) static const struct vectors vectors = {
    .stack = device_stack_end,
    .handlers = {reset, exception, exception, exception, exception, exception},
};
