#include "futex.h"

#include <errno.h>
#include <time.h>

#include "syscall.h"

/* The kernel's numbers, for waits within one process; spelt out because not every libc brings the kernel's headers. */
enum { FUTEX_WAIT_PRIVATE = 128, FUTEX_WAKE_PRIVATE = 129, FUTEX_WAKE_OP_PRIVATE = 133 };

void futex_wait(_Atomic uint32_t *word, uint32_t value) {
    (void)SYSCALL(SYS_futex, syscall_address(word), FUTEX_WAIT_PRIVATE, (long)value);
}

void futex_wake(_Atomic uint32_t *word) {
    (void)SYSCALL(SYS_futex, syscall_address(word), FUTEX_WAKE_PRIVATE, 1L);
}

/* A wake of waiters on one word that first changes another one, or the same: by the set operation (0), with the value
 * in bits 12 to 23; the comparison behind it (0: equal to 0) decides on further waiters, of which there are none. */
int futex_word_set(void *address, uint32_t value) {
    return syscall_error(SYSCALL(SYS_futex, syscall_address(address), FUTEX_WAKE_OP_PRIVATE, 0L, 0L,
                                 syscall_address(address), (long)(value << 12)));
}

/* A wait compares before it sleeps, and the kernel reads without a fault for us: EAGAIN when the word differs,
 * ETIMEDOUT when it is equal, EFAULT when it is not there. */
bool futex_word_is(const void *address, uint32_t value) {
    struct timespec no_time = {0, 0};
    long result =
        SYSCALL(SYS_futex, syscall_address(address), FUTEX_WAIT_PRIVATE, (long)value, syscall_address(&no_time));
    return result == 0 || syscall_error(result) == ETIMEDOUT;
}
