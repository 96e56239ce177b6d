/*
 * break.c - the program break.
 */
#include <errno.h>

#include "inject.h"
#include "syscall.h"

/* Where glibc believes the break to be: from there its sbrk goes on. Exported but not declared; a static program that
 * does not use sbrk has none. */
extern void *__curbrk __attribute__((weak));

/* musl's own malloc, of which its loader makes use beside any other, keeps data behind the break and moves it without
 * a look at where it is: it would cut off what we have put there. */
#ifdef __GLIBC__
#define BREAK_IS_OURS 1
#else
#define BREAK_IS_OURS 0
#endif

/* Where the break is afterwards: the kernel leaves it alone when it cannot be moved there, and 0 never can be. */
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
