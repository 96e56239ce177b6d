/* break.c - the program break. */
#include <errno.h>

#include "inject.h"
#include "syscall.h"

/* Where glibc's sbrk continues. Exported but undeclared; absent from static programs without sbrk. */
extern void *__curbrk __attribute__((weak));

/* musl's malloc, which its loader uses, moves the break blindly: it would cut off ours. */
#ifdef __GLIBC__
#define BREAK_IS_OURS 1
#else
#define BREAK_IS_OURS 0
#endif

/* Returns the new break, or the old one if the kernel refuses, as it always does for 0. */
static uintptr_t set_break(uintptr_t to) {
    return (uintptr_t)SYSCALL(SYS_brk, (long)to);
}

int os_move_break(intptr_t by, void **old_break) {
    int error = os_injected(OS_CALL_BRK);
    if (error != 0) {
        return error;
    }
    uintptr_t was = set_break(0);
    uintptr_t aim = was + (uintptr_t)by;
    if (by != 0) {
        bool wraps = by > 0 ? aim < was : aim > was;
        if (!BREAK_IS_OURS || wraps || set_break(aim) != aim) {
            return ENOMEM;
        }
        if (&__curbrk != NULL) {
            __curbrk = (void *)aim;
        }
    }
    *old_break = (void *)was;
    return 0;
}
