/* seccomp.h - has the kernel answer some system calls unlike all others. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>

#if __has_include(<linux/filter.h>) && __has_include(<linux/seccomp.h>)
#include <linux/filter.h>
#include <linux/seccomp.h>
#else
enum { SECCOMP_RET_ALLOW, SECCOMP_RET_TRAP, SECCOMP_RET_ERRNO };
#endif

#define SECCOMP_CALLS_MAX 16

/* For this thread and all that it starts: the answer to the calls that are listed, and to all others. False if there
 * are no filters, or the kernel's headers are missing. */
static inline bool seccomp_answer(const uint32_t *calls, unsigned count, uint32_t listed, uint32_t others) {
#ifdef SECCOMP_MODE_FILTER
    struct sock_filter filter[2 * SECCOMP_CALLS_MAX + 2] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
    };
    unsigned short length = 1;
    for (unsigned i = 0; i < count; i++) {
        filter[length++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, calls[i], 0, 1);
        filter[length++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, listed);
    }
    filter[length++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, others);
    struct sock_fprog program = {.len = length, .filter = filter};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
#else
    (void)calls, (void)count, (void)listed, (void)others;
    return false;
#endif
}
