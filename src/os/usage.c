/* usage.c - what the process uses of the machine, and its limits. */
#include <sys/resource.h>
#include <sys/sysinfo.h>

#include "os.h"
#include "syscall.h"

/* On 64-bit Linux the kernel's structure is libc's. */
int os_process_limit(int process, int resource, const struct rlimit *limit, struct rlimit *old) {
    return syscall_error(SYSCALL(SYS_prlimit64, process, resource, syscall_address(limit), syscall_address(old)));
}

static size_t limit_of(int resource) {
    struct rlimit limit;
    int error = os_process_limit(0, resource, NULL, &limit);
    return error != 0 || limit.rlim_cur == RLIM_INFINITY ? SIZE_MAX : (size_t)limit.rlim_cur;
}

size_t os_address_limit(void) {
    return limit_of(RLIMIT_AS);
}

size_t os_data_limit(void) {
    return limit_of(RLIMIT_DATA);
}

/* The kernel's interface, whose header not every C library's include path has. */
#define CAPABILITY_VERSION 0x20080522u
#define CAPABILITY_IPC_LOCK 14u

struct capability_header {
    uint32_t version;
    int thread;
};

struct capability_words {
    uint32_t effective;
    uint32_t permitted;
    uint32_t inheritable;
};

/* False if unknown. */
static bool may_lock_any(void) {
    struct capability_header header = {.version = CAPABILITY_VERSION};
    struct capability_words words[2] = {{0}};
    return SYSCALL(SYS_capget, syscall_address(&header), syscall_address(words)) == 0 &&
           (words[0].effective >> CAPABILITY_IPC_LOCK & 1) != 0;
}

size_t os_lock_limit(void) {
    const size_t limit = limit_of(RLIMIT_MEMLOCK);
    return limit != SIZE_MAX && may_lock_any() ? SIZE_MAX : limit;
}

int os_lock_memory(int flags) {
    return syscall_error(SYSCALL(SYS_mlockall, flags));
}

bool os_strict_overcommit(void) {
    char mode[8];
    return os_read_text("/proc/sys/vm/overcommit_memory", mode, sizeof mode) == 0 && mode[0] == '2';
}

size_t os_physical_memory(void) {
    struct sysinfo info;
    int error = syscall_error(SYSCALL(SYS_sysinfo, syscall_address(&info)));
    return error == 0 ? (size_t)info.totalram * info.mem_unit : 0;
}

/* Moves *text past the number and one space; 0 if there is none. */
static size_t next_number(const char **text) {
    size_t number = 0;
    for (; **text >= '0' && **text <= '9'; ++*text) {
        number = number * 10 + (size_t)(**text - '0');
    }
    *text += **text == ' ';
    return number;
}

/* statm begins with address space and resident memory, in kernel pages; data is its sixth number. */
static void read_statm(struct os_usage *usage) {
    char buffer[128];
    if (os_read_text("/proc/self/statm", buffer, sizeof buffer) != 0) {
        return;
    }
    const char *text = buffer;
    usage->mapped = next_number(&text) * os_page_size();
    usage->resident = next_number(&text) * os_page_size();
    for (unsigned i = 0; i < 3; i++) {
        (void)next_number(&text);
    }
    usage->data = next_number(&text) * os_page_size();
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
