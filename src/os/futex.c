#include "futex.h"

#include <errno.h>
#include <time.h>

#include "syscall.h"

/* The kernel's numbers, for waits within one process; spelt out because not every libc brings the kernel's headers. */
enum { FUTEX_WAIT_PRIVATE = 128, FUTEX_WAKE_PRIVATE = 129 };

void futex_wait(_Atomic uint32_t *word, uint32_t value) {
    (void)SYSCALL(SYS_futex, syscall_address(word), FUTEX_WAIT_PRIVATE, (long)value);
}

void futex_wake(_Atomic uint32_t *word) {
    (void)SYSCALL(SYS_futex, syscall_address(word), FUTEX_WAKE_PRIVATE, 1L);
}

/* A wait compares before it sleeps, and the kernel reads without a fault for us: EAGAIN when the word differs,
 * ETIMEDOUT when it is equal, EFAULT when it is not there. */
bool futex_word_is(const void *address, uint32_t value) {
    struct timespec no_time = {0, 0};
    long result =
        SYSCALL(SYS_futex, syscall_address(address), FUTEX_WAIT_PRIVATE, (long)value, syscall_address(&no_time));
    return result == 0 || syscall_error(result) == ETIMEDOUT;
}
