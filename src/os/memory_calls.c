#include "memory_calls.h"

#include <errno.h>

#include "inject.h"
#include "syscall.h"

/* The address that a call has returned. The kernel's addresses are integers: here they become pointers. */
static int take_address(long result, void **out) {
    int error = syscall_error(result);
    if (error == 0) {
        *out = (void *)(uintptr_t)result;
    }
    return error;
}

int sys_mmap(void *start, size_t size, int protection, int flags, void **out) {
    int error = os_injected(OS_CALL_MMAP);
    if (error != 0) {
        return error;
    }
    return take_address(SYSCALL(SYS_mmap, syscall_address(start), (long)size, protection, flags, -1L), out);
}

int sys_munmap(void *start, size_t size) {
    int error = os_injected(OS_CALL_MUNMAP);
    return error != 0 ? error : syscall_error(SYSCALL(SYS_munmap, syscall_address(start), (long)size));
}

int sys_mprotect(void *start, size_t size, int protection) {
    int error = os_injected(OS_CALL_MPROTECT);
    return error != 0 ? error : syscall_error(SYSCALL(SYS_mprotect, syscall_address(start), (long)size, protection));
}

int sys_madvise(void *start, size_t size, int advice) {
    int error = os_injected(OS_CALL_MADVISE);
    return error != 0 ? error : syscall_error(SYSCALL(SYS_madvise, syscall_address(start), (long)size, advice));
}

int sys_mremap(void *old, size_t old_size, size_t new_size, int flags, void *new, void **out) {
    int error = os_injected(OS_CALL_MREMAP);
    if (error == ENOMEM && (flags & MREMAP_FIXED) != 0) {
        (void)SYSCALL(SYS_munmap, syscall_address(new), (long)new_size); /* what the kernel has done by then */
    }
    if (error != 0) {
        return error;
    }
    long result =
        SYSCALL(SYS_mremap, syscall_address(old), (long)old_size, (long)new_size, flags, syscall_address(new));
    return take_address(result, out);
}
