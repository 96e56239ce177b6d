/* task.c - process and thread ids. */
#include "os.h"
#include "syscall.h"

uint64_t os_thread_id(void) {
    return (uint64_t)SYSCALL(SYS_gettid);
}

uint64_t os_process_id(void) {
    return (uint64_t)SYSCALL(SYS_getpid);
}
