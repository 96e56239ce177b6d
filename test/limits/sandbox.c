/*
 * sandbox SYSCALL... -- PROGRAM ARGUMENT... - runs a program for which the kernel refuses these system calls with
 * EPERM.
 *
 * Exits with 77 if no seccomp filter can be installed, or the kernel's headers are missing.
 */
#if !__has_include(<linux/filter.h>)
int main(void) {
    return 77;
}
#else

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define REFUSED_MAX 16

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

/* Load the number; for each refused call: if it is that, answer EPERM; else allow. */
static int install(const uint32_t *refused, unsigned count) {
    struct sock_filter filter[2 * REFUSED_MAX + 2] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
    };
    unsigned short length = 1;
    for (unsigned i = 0; i < count; i++) {
        filter[length++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, refused[i], 0, 1);
        filter[length++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM);
    }
    filter[length++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog program = {.len = length, .filter = filter};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
        return errno;
    }
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0 ? errno : 0;
}

int main(int argc, char **argv) {
    uint32_t refused[REFUSED_MAX];
    unsigned count = 0;
    int at = 1;
    for (; at < argc && strcmp(argv[at], "--") != 0 && count < REFUSED_MAX; at++) {
        refused[count++] = number_of(argv[at]);
    }
    if (at + 1 >= argc || strcmp(argv[at], "--") != 0) {
        fprintf(stderr, "usage: sandbox SYSCALL... -- PROGRAM ARGUMENT...\n");
        return 1;
    }
    if (install(refused, count) != 0) {
        return 77;
    }
    execvp(argv[at + 1], &argv[at + 1]);
    return 1;
}

#endif
