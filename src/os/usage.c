/*
 * usage.c - what the process has of the machine, and how much it may have.
 */
#include <sys/resource.h>

#include "os.h"
#include "syscall.h"

size_t os_address_limit(void) {
    struct rlimit limit;
    long result = SYSCALL(SYS_prlimit64, 0L, RLIMIT_AS, 0L, syscall_address(&limit));
    return syscall_error(result) != 0 || limit.rlim_cur == RLIM_INFINITY ? SIZE_MAX : (size_t)limit.rlim_cur;
}

/* Reads a decimal number and moves *text past it and the blank behind it; 0 where there is none. */
static size_t next_number(const char **text) {
    size_t number = 0;
    for (; **text >= '0' && **text <= '9'; ++*text) {
        number = number * 10 + (size_t)(**text - '0');
    }
    *text += **text == ' ';
    return number;
}

/* The first two numbers of statm: address space and resident memory, in the kernel's pages. */
static void read_statm(struct os_usage *usage) {
    char buffer[128];
    if (os_read_text("/proc/self/statm", buffer, sizeof buffer) != 0) {
        return;
    }
    const char *text = buffer;
    usage->mapped = next_number(&text) * os_page_size();
    usage->resident = next_number(&text) * os_page_size();
}

void os_usage(struct os_usage *usage) {
    struct rusage faults;
    *usage = (struct os_usage){0};
    read_statm(usage);
    if (SYSCALL(SYS_getrusage, RUSAGE_SELF, syscall_address(&faults)) == 0) {
        usage->minor_faults = (uint64_t)faults.ru_minflt;
        usage->major_faults = (uint64_t)faults.ru_majflt;
    }
}
