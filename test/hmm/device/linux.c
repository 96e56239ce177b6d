/*
 * linux.c - a process without a C library.
 */
#include "device.h"

void device_leave(int status) {
#if defined(__x86_64__)
    __asm__ __volatile__("syscall" ::"a"(60L), "D"((long)status) : "rcx", "r11", "memory");
#elif defined(__i386__)
    __asm__ __volatile__("int $0x80" ::"a"(1), "b"(status) : "memory");
#elif defined(__aarch64__)
    register long number __asm__("x8") = 93;
    register long first __asm__("x0") = status;
    __asm__ __volatile__("svc 0" ::"r"(number), "r"(first) : "memory");
#elif defined(__powerpc__)
    register int number __asm__("r0") = 1;
    register int first __asm__("r3") = status;
    __asm__ __volatile__("sc" ::"r"(number), "r"(first) : "memory");
#endif
    __builtin_trap();
}

/* The kernel's stack alignment is not what x86 functions expect. */
#if defined(__x86_64__) || defined(__i386__)
#define ENTRY __attribute__((force_align_arg_pointer))
#else
#define ENTRY
#endif

void _start(void);
ENTRY void _start(void) {
    device_leave(device_work());
}
