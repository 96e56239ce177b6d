#include "futex.h"

#include <errno.h>

#include "syscall.h"

/* For waits within a process. Not every libc comes with the kernel's headers. */
enum {
    FUTEX_WAIT_PRIVATE = 128,
    FUTEX_WAKE_PRIVATE = 129,
    FUTEX_CMP_REQUEUE_PRIVATE = 132,
    FUTEX_WAKE_OP_PRIVATE = 133
};

void futex_wait(_Atomic uint32_t *word, uint32_t value) {
    (void)SYSCALL(SYS_futex, syscall_address(word), FUTEX_WAIT_PRIVATE, (long)value);
}

void futex_wake(_Atomic uint32_t *word) {
    (void)SYSCALL(SYS_futex, syscall_address(word), FUTEX_WAKE_PRIVATE, 1L);
}

/* FUTEX_WAKE_OP sets a second word, here the same, to the value in bits 12 to 23 (operation 0). It wakes nobody: no
 * thread waits on this word. */
int futex_word_set(void *address, uint32_t value) {
    return syscall_error(SYSCALL(SYS_futex, syscall_address(address), FUTEX_WAKE_OP_PRIVATE, 0L, 0L,
                                 syscall_address(address), (long)(value << 12)));
}

/* FUTEX_CMP_REQUEUE compares first, then wakes and moves waiters, of which there are none; a wait without a timeout
 * might take another waiter's wake-up. EAGAIN: the word differs; EFAULT: not mapped. */
static int compare(const void *address, uint32_t value) {
    return syscall_error(SYSCALL(SYS_futex, syscall_address(address), FUTEX_CMP_REQUEUE_PRIVATE, 0L, 0L,
                                 syscall_address(address), (long)value));
}

bool futex_word_is(const void *address, uint32_t value) {
    return compare(address, value) == 0;
}

bool futex_word_is_not(const void *address, uint32_t value) {
    return compare(address, value) == EAGAIN;
}
