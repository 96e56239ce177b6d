/* mapping.c - reserves, commits, claims, maps, purges, resizes and unmaps address space. */
#include <errno.h>
#include <stdatomic.h>
#include <sys/auxv.h>

#include "base/bits.h"
#include "futex.h"
#include "memory_calls.h"
#include "os.h"
#include "syscall.h"

size_t os_page_size(void) {
    static _Atomic size_t known; /* relaxed: a constant */
    size_t size = atomic_load_explicit(&known, memory_order_relaxed);
    if (size == 0) {
        size = (size_t)getauxval(AT_PAGESZ); /* sysconf would touch 70 KiB more of libc */
        atomic_store_explicit(&known, size, memory_order_relaxed);
    }
    return size;
}

/* Maps `align` bytes too many and cuts off both ends. */
static int map_aligned(size_t size, size_t align, int protection, int flags, void **out) {
    size_t page = os_page_size();
    if (align <= page) {
        return sys_mmap(NULL, size, protection, flags, out);
    }
    if (size > SIZE_MAX - align - page) {
        return ENOMEM;
    }
    size = round_up(size, page);
    void *mapped = NULL;
    int error = sys_mmap(NULL, size + align, protection, flags, &mapped);
    if (error != 0) {
        return error;
    }
    char *whole = mapped;
    size_t head = round_up((uintptr_t)whole, align) - (uintptr_t)whole;
    /* At the kernel's limit of mappings the ends stay: untouched, they cost nothing. */
    if (head != 0) {
        (void)sys_munmap(whole, head);
    }
    (void)sys_munmap(whole + head + size, align - head);
    *out = whole + head;
    return 0;
}

/* The address must be free. Kernels before 4.17 and some emulators take it as a hint. */
static int map_at(void *start, size_t size, int protection) {
    void *mapped = NULL;
    int error = sys_mmap(start, size, protection, PRIVATE | MAP_NORESERVE | MAP_FIXED_NOREPLACE, &mapped);
    if (error == 0 && mapped != start) {
        (void)sys_munmap(mapped, size);
        error = EEXIST;
    }
    return error;
}

/* The kernel leaves untouched memory out of cores; gdb's gcore only what is marked. */
static void leave_out_of_cores(void *start, size_t size) {
    (void)sys_madvise(start, size, MADV_DONTDUMP);
}

/* NORESERVE: only accessible memory should count. Strict overcommit ignores the flag. */
int os_reserve(size_t size, size_t align, void **out) {
    int error = map_aligned(size, align, PROT_NONE, PRIVATE | MAP_NORESERVE, out);
    if (error == 0) {
        leave_out_of_cores(*out, size);
    }
    return error;
}

int os_reserve_at(void *start, size_t size) {
    int error = map_at(start, size, PROT_NONE);
    if (error == 0) {
        leave_out_of_cores(start, size);
    }
    return error;
}

int os_commit(void *start, size_t size) {
    return sys_mprotect(start, size, READ_WRITE);
}

void os_dump(void *start, size_t size) {
    (void)sys_madvise(start, size, MADV_DODUMP);
}

/* With the flags of os_reserve plus os_commit, so the kernel can merge adjacent pieces. */
int os_claim(void *start, size_t size) {
    return map_at(start, size, READ_WRITE);
}

int os_map(size_t size, size_t align, void **out) {
    return map_aligned(size, align, READ_WRITE, PRIVATE, out);
}

int os_map_near(void *near, size_t size, void **out) {
    return sys_mmap(near, size, READ_WRITE, PRIVATE, out);
}

int os_unmap(void *start, size_t size) {
    return sys_munmap(start, size);
}

int os_forbid(void *start, size_t size) {
    void *mapped;
    return sys_mmap(start, size, PROT_NONE, PRIVATE | MAP_NORESERVE | MAP_FIXED, &mapped);
}

int os_purge(void *start, size_t size) {
    return sys_madvise(start, size, MADV_DONTNEED);
}

/* The kernel unmaps first; if it then fails, another thread's mmap may take the hole. As in os_move_pages, if a mark is
 * gone, the addresses count as lost. The kernel sets the mark, because the pages may be unwritable. */
int os_replace(void *start, size_t size, bool *lost) {
    static const uint32_t mark = 0x5a5;
    void *mapped = NULL;
    bool marked = futex_word_set(start, mark) == 0;
    int error = sys_mmap(start, size, READ_WRITE, PRIVATE | MAP_NORESERVE | MAP_FIXED, &mapped);
    *lost = false;
    if (error != 0 && !(marked && futex_word_is(start, mark))) {
        error = os_claim(start, size);
        *lost = error != 0;
    }
    return error;
}

int os_advise(void *start, size_t size, int advice) {
    return syscall_error(SYSCALL(SYS_madvise, syscall_address(start), (long)size, advice));
}

int os_protect(void *start, size_t size, int protection) {
    return syscall_error(SYSCALL(SYS_mprotect, syscall_address(start), (long)size, protection));
}

int os_lock_pages(const void *start, size_t size, unsigned flags) {
    return syscall_error(flags == 0 ? SYSCALL(SYS_mlock, syscall_address(start), (long)size)
                                    : SYSCALL(SYS_mlock2, syscall_address(start), (long)size, (long)flags));
}

int os_guard_end(void *start, size_t size) {
    return sys_madvise(start, size, MADV_GUARD_REMOVE);
}

int os_close_pages(void *start, size_t size) {
    return sys_mprotect(start, size, PROT_NONE);
}

/* EINVAL on kernels before 5.14, which are not asked again. */
void os_populate(void *start, size_t size) {
    static _Atomic bool unknown; /* relaxed: at worst a call is in vain */
    if (!atomic_load_explicit(&unknown, memory_order_relaxed) &&
        sys_madvise(start, size, MADV_POPULATE_WRITE) == EINVAL) {
        atomic_store_explicit(&unknown, true, memory_order_relaxed);
    }
}

int os_huge_pages(void *start, size_t size, bool huge) {
    return sys_madvise(start, size, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
}

int os_resize_map(void *start, size_t old_size, size_t new_size, bool may_move, void **out) {
    return sys_mremap(start, old_size, new_size, may_move ? MREMAP_MAYMOVE : 0, NULL, out);
}
