#include "memory_calls.h"

#include <errno.h>

#include "inject.h"
#include "syscall.h"

static int take_address(long result, void **out) {
    int error = syscall_error(result);
    if (error == 0) {
        *out = (void *)(uintptr_t)result;
    }
    return error;
}

static long direct_mmap(void *start, size_t size, int protection, int flags) {
    return SYSCALL(SYS_mmap, syscall_address(start), (long)size, protection, flags, -1L);
}

/* ThreadSanitizer must learn that memory starts a new life, or old and new accesses look like a race. It intercepts
 * libc's functions for this. */
#ifdef __SANITIZE_THREAD__

/* The sanitizer replaces an address that it cannot use by 0, which MAP_FIXED_NOREPLACE accepts. The kernel refuses
 * addresses in the sanitizer's own memory, so we ask the kernel first. */
static long call_mmap(void *start, size_t size, int protection, int flags) {
    int saved = errno;
    if ((flags & MAP_FIXED_NOREPLACE) != 0) {
        long first = direct_mmap(start, size, protection, flags);
        if (first != syscall_address(start)) {
            return first;
        }
        flags = (flags & ~MAP_FIXED_NOREPLACE) | MAP_FIXED;
    }
    void *mapped = mmap(start, size, protection, flags, -1, 0);
    long result = mapped != MAP_FAILED ? syscall_address(mapped) : -errno;
    errno = saved;
    return result;
}

static long call_munmap(void *start, size_t size) {
    int saved = errno;
    long result = munmap(start, size) == 0 ? 0 : -errno;
    errno = saved;
    return result;
}

#else

static long call_mmap(void *start, size_t size, int protection, int flags) {
    return direct_mmap(start, size, protection, flags);
}

static long call_munmap(void *start, size_t size) {
    return SYSCALL(SYS_munmap, syscall_address(start), (long)size);
}

#endif

int sys_mmap(void *start, size_t size, int protection, int flags, void **out) {
    int error = os_injected(OS_CALL_MMAP);
    return error != 0 ? error : take_address(call_mmap(start, size, protection, flags), out);
}

int sys_munmap(void *start, size_t size) {
    int error = os_injected(OS_CALL_MUNMAP);
    return error != 0 ? error : syscall_error(call_munmap(start, size));
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
        (void)call_munmap(new, new_size); /* undoes what the kernel did before failing */
    }
    if (error != 0) {
        return error;
    }
    long result =
        SYSCALL(SYS_mremap, syscall_address(old), (long)old_size, (long)new_size, flags, syscall_address(new));
    return take_address(result, out);
}
