/*
 * sandbox SYSCALL... -- PROGRAM ARGUMENT... - runs a program for which the kernel refuses these system calls with
 * EPERM.
 *
 * Exits with 77 if no seccomp filter can be installed, or the kernel's headers are missing.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../support/seccomp.h"

static const struct {
    const char *name;
    uint32_t number;
} calls[] = {
    {"madvise", SYS_madvise},
    {"mremap", SYS_mremap},
    {"getrandom", SYS_getrandom},
    {"prctl", SYS_prctl},
    {"munmap", SYS_munmap},
    {"sched_getaffinity", SYS_sched_getaffinity},
    {"clock_gettime", SYS_clock_gettime},
};

static uint32_t number_of(const char *name) {
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        if (strcmp(calls[i].name, name) == 0) {
            return calls[i].number;
        }
    }
    fprintf(stderr, "sandbox: unknown system call %s\n", name);
    _exit(1);
}

int main(int argc, char **argv) {
    uint32_t refused[SECCOMP_CALLS_MAX];
    unsigned count = 0;
    int at = 1;
    for (; at < argc && strcmp(argv[at], "--") != 0 && count < SECCOMP_CALLS_MAX; at++) {
        refused[count++] = number_of(argv[at]);
    }
    if (at + 1 >= argc || strcmp(argv[at], "--") != 0) {
        fprintf(stderr, "usage: sandbox SYSCALL... -- PROGRAM ARGUMENT...\n");
        return 1;
    }
    if (!seccomp_answer(refused, count, SECCOMP_RET_ERRNO | EPERM, SECCOMP_RET_ALLOW)) {
        return 77;
    }
    execvp(argv[at + 1], &argv[at + 1]);
    return 1;
}
